import AvaloReactor
import Glibc
import Synchronization

/// A hub for tests: writes down what it is told, echoes when asked to, and runs errands on its loop.
public final class RecordingApplication: LoopApplication {
  public enum Event: Equatable, Sendable {
    case opened(path: String)
    case message(String)
    case drained
    case closed(clean: Bool)
  }

  public let writer: ConnectionWriter
  /// Connections that are open, in the order in which they came.
  public private(set) var connections: [ConnectionID] = []
  private let recorder: LoopRecorder

  public init(_ writer: ConnectionWriter, _ waker: Waker, _ recorder: LoopRecorder) {
    self.writer = writer
    self.recorder = recorder
    recorder.attach(waker)
  }

  public func opened(_ connection: ConnectionID, _ request: UpgradeRequest) {
    connections.append(connection)
    recorder.record(.opened(path: request.path), of: connection)
  }

  public func message(_ connection: ConnectionID, _ text: UnsafeRawBufferPointer) {
    if recorder.echoes { writer.text(connection, text) }
    recorder.record(.message(String(decoding: text, as: UTF8.self)), of: connection)
  }

  public func drained(_ connection: ConnectionID) {
    recorder.record(.drained, of: connection)
  }

  public func closed(_ connection: ConnectionID, clean: Bool) {
    precondition(connections.contains(connection), "closed without opened, or twice")
    connections.removeAll { $0 == connection }
    recorder.record(.closed(clean: clean), of: connection)
  }

  public func woken() {
    recorder.runErrands(self)
  }

  public func tick() {}

  public func turnEnding() {}
}

/// The test's side of a `RecordingApplication`. Any thread.
public final class LoopRecorder: Sendable {
  private struct State {
    var events: [RecordingApplication.Event] = []
    var connections: [ConnectionID] = []
    var mailbox: Mailbox<@Sendable (RecordingApplication) -> Void>?
  }

  public let echoes: Bool
  private let state = Mutex(State())

  public init(echoes: Bool = true) {
    self.echoes = echoes
  }

  public var events: [RecordingApplication.Event] { state.withLock { $0.events } }

  /// The connections behind `events`, event by event.
  public var connections: [ConnectionID] { state.withLock { $0.connections } }

  /// Waits until what was recorded satisfies `condition`; `false` when it takes too long.
  public func wait(
    patience: Int32 = SocketProbe.patience, until condition: ([RecordingApplication.Event]) -> Bool
  ) -> Bool {
    for _ in 0..<patience {
      if condition(events) { return true }
      usleep(1000)
    }
    return condition(events)
  }

  /// Runs something on the loop's thread and waits for its result.
  public func onLoop<Result: Sendable>(_ body: @escaping @Sendable (RecordingApplication) -> Result) -> Result {
    let done = Answer<Result>()
    // The application is made on the loop's thread, maybe after the test got here.
    var mailbox = state.withLock { $0.mailbox }
    while mailbox == nil {
      usleep(1000)
      mailbox = state.withLock { $0.mailbox }
    }
    mailbox!.post { application in
      let result = body(application)
      done.value.withLock { $0 = result }
    }
    while true {
      if let result = done.value.withLock({ $0 }) { return result }
      usleep(200)
    }
  }

  func attach(_ waker: Waker) {
    state.withLock { $0.mailbox = Mailbox(waker) }
  }

  func record(_ event: RecordingApplication.Event, of connection: ConnectionID) {
    state.withLock {
      $0.events.append(event)
      $0.connections.append(connection)
    }
  }

  func runErrands(_ application: RecordingApplication) {
    state.withLock { $0.mailbox }?.drain { $0(application) }
  }

  private final class Answer<Result: Sendable>: Sendable {
    let value = Mutex<Result?>(nil)
  }
}

/// A clock that stands still until a test moves it.
public final class ManualClock: Sendable {
  private let now = Atomic<UInt64>(1_000_000)

  public init() {}

  public var clock: LoopClock { LoopClock { [self] in now.load(ordering: .acquiring) } }

  public func advance(seconds: UInt64) {
    now.add(seconds * 1000, ordering: .acquiringAndReleasing)
  }
}
