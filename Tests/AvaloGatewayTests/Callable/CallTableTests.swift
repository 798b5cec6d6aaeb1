import AvaloCore
import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct CallTableTests {
  @Test func findsFunctionsByTheirWholeName() {
    for name in CallTable.names { #expect(CallTable.find(name.utf8)?.name.description == name) }
    for name in ["", "publish", "publishRealtimeEvent2", "PublishRealtimeEvent", "publishRealtimeEven"] {
      #expect(CallTable.find(name.utf8) == nil)
    }
    #expect(Set(CallTable.names).count == CallTable.names.count)
  }

  /// Nobody but the context holds the observer.
  @Test func tellsTheObserverOfEveryCall() async throws {
    let folder = try TemporaryFolder()
    let clock = ManualClock(wallMilliseconds: testNow)
    let services = FakeServices()
    services.publishAnswer = nil
    let log = Log()
    let context = CallContext(
      services: services, access: SharedAccess(try await makeAccess(folder: folder)), admission: Admission(),
      wall: clock.wall, monotonic: clock.monotonic, observer: Observer(log))
    func call(_ data: String) throws {
      try Array(data.utf8).withUnsafeBytes { text in
        let request = CallRequest(
          data: try JSONView(validating: text), caller: .server(CallFixture.backend),
          carrier: .http(host: nil, secure: false))
        CallTable.invoke(PublishRealtimeEvent.self, request, context) { _ in log.lines.append("replied") }
      }
    }
    try call(#"{"type":"notification","targetUserId":"u","payload":{}}"#)
    clock.advance(by: .milliseconds(7))
    services.answerWaiting(offset: 1)
    try call("null")
    #expect(
      log.lines == [
        "publishRealtimeEvent OK 7 ms", "replied", "publishRealtimeEvent INVALID_ARGUMENT 0 ms", "replied",
      ])
  }

  private final class Log { var lines: [String] = [] }

  private final class Observer: CallObserver {
    private let log: Log
    init(_ log: Log) { self.log = log }
    func called(_ name: StaticString, _ error: CallError?, took: Duration) {
      log.lines.append("\(name) \((error?.code ?? .ok).wireName) \(took.milliseconds) ms")
    }
    func refused(_ limit: CallLimit) { log.lines.append(limit.wireName) }
  }
}
