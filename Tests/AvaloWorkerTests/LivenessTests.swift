import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import AvaloWorker

@Suite struct LivenessTests {
  @Test func namesWhatIsNotAlive() {
    let liveness = Liveness()
    #expect(liveness.failing() == [])
    liveness.add("writer") { true }
    liveness.add("reactor") { false }
    #expect(liveness.failing() == ["reactor"])
    liveness.add("reactor") { true }
    #expect(liveness.failing() == [])
    liveness.add("gone") { false }
    liveness.remove("gone")
    #expect(liveness.failing() == [])
  }

  @Test func aLoopIsAliveWhenItTurnedSinceTheLastLook() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let liveness = Liveness()
    liveness.add("loop", loop: loop)
    #expect(liveness.failing() == [])
    try await loop.submit {}.get()
    #expect(liveness.failing() == [])
    // It stands still between the two looks.
    let (held, hold) = AsyncStream.makeStream(of: Void.self)
    let gate = ThreadGate()
    loop.execute {
      hold.finish()
      gate.wait()
    }
    for await _ in held {}
    _ = liveness.failing()
    #expect(liveness.failing() == ["loop"])
    gate.open()
    try await loop.submit {}.get()
    #expect(liveness.failing() == [])
    try await group.shutdownGracefully()
  }
}

/// Holds a thread until it is opened.
private final class ThreadGate: Sendable {
  private let lock = ConditionLock(value: 0)
  func wait() {
    lock.lock(whenValue: 1)
    lock.unlock()
  }
  func open() {
    lock.lock()
    lock.unlock(withValue: 1)
  }
}
