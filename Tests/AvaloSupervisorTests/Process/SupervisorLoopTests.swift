import AvaloSystem
import Foundation
import Synchronization
import Testing

@testable import AvaloSupervisor

@Suite struct SupervisorLoopTests {
  /// Something that lives on a loop.
  actor Resident {
    nonisolated let loop: SupervisorLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private(set) var seen: [String] = []

    init(_ loop: SupervisorLoop) { self.loop = loop }

    func note(_ text: String) { seen.append(text) }

    func timers(_ clock: MonotonicClock) async -> [String] {
      let now = clock.now
      loop.schedule(at: now + .milliseconds(30)) { self.assumeIsolated { $0.note("third") } }
      loop.schedule(at: now + .milliseconds(10)) { self.assumeIsolated { $0.note("first") } }
      let cancelled = loop.schedule(at: now + .milliseconds(15)) { self.assumeIsolated { $0.note("cancelled") } }
      loop.schedule(at: now + .milliseconds(20)) { self.assumeIsolated { $0.note("second") } }
      loop.cancel(cancelled)
      await withCheckedContinuation { continuation in
        loop.schedule(at: now + .milliseconds(40)) { continuation.resume() }
      }
      return seen
    }

    func watch(_ descriptor: Int32) async -> [UInt8] {
      await withCheckedContinuation { continuation in
        let bytes = Mutex<[UInt8]>([])
        loop.watch(descriptor) { [loop] in
          var byte: UInt8 = 0
          guard read(descriptor, &byte, 1) == 1 else {
            loop.unwatch(descriptor)
            return continuation.resume(returning: bytes.withLock { $0 })
          }
          bytes.withLock { $0.append(byte) }
        }
      }
    }
  }

  /// A loop that turns on a thread of its own until the body is done.
  func withLoop<Result: Sendable>(_ body: @Sendable (SupervisorLoop) async throws -> Result) async throws -> Result {
    let loop = try SupervisorLoop()
    let thread = Thread { loop.run() }
    thread.start()
    defer { loop.stop() }
    return try await body(loop)
  }

  @Test func timersFireInTheirOrder() async throws {
    let seen = try await withLoop { await Resident($0).timers(.system) }
    #expect(seen == ["first", "second", "third"])
  }

  @Test func descriptorsAreReadUntilTheirEnd() async throws {
    let bytes = try await withLoop { loop in
      var ends: [Int32] = [-1, -1]
      #expect(pipe(&ends) == 0)
      let (readEnd, writeEnd) = (ends[0], ends[1])
      async let read = Resident(loop).watch(readEnd)
      for byte in UInt8(1)...3 { #expect(write(writeEnd, [byte], 1) == 1) }
      close(writeEnd)
      let bytes = await read
      close(readEnd)
      return bytes
    }
    #expect(bytes == [1, 2, 3])
  }

  @Test func jobsFromManyThreadsAllRun() async throws {
    let count = try await withLoop { loop in
      let resident = Resident(loop)
      await withTaskGroup(of: Void.self) { group in
        for index in 0..<2000 { group.addTask { await resident.note("\(index)") } }
      }
      return await Set(resident.seen).count
    }
    #expect(count == 2000)
  }
}
