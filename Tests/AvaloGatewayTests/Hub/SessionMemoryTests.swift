import AvaloCore
import AvaloReactor
import Glibc
import Testing

@testable import AvaloGateway

/// What one idle connection costs the hub. There are tens of thousands of them: whoever adds a field sees here what it
/// costs, in the allocator's steps of 16 bytes.
@Suite struct SessionMemoryTests {
  @Test func keepsASessionSmall() throws {
    let session = Session(
      connection: ConnectionID(slot: 1, generation: 0), number: 1, nowSeconds: 0, openedMilliseconds: 0)
    #expect(try heapBytes(session) <= 104)
  }

  @Test func keepsATopicSmall() throws {
    let topic = WatchedTopic(topic: Topic("user:ann")!, handle: 1)
    #expect(try heapBytes(topic) <= 104)
    #expect(MemoryLayout<SubscriberList>.size == 16)
  }

  @Test func keepsASubscriptionSmall() {
    #expect(MemoryLayout<Subscription>.stride <= 32)
  }

  private func heapBytes(_ object: AnyObject) throws -> Int {
    let name = try #require(dlsym(nil, "malloc_usable_size"), "malloc_usable_size(3)")
    typealias Function = @convention(c) (UnsafeMutableRawPointer?) -> Int
    return unsafeBitCast(name, to: Function.self)(Unmanaged.passUnretained(object).toOpaque())
  }
}
