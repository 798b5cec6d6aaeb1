import AvaloCore
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

/// Calls functions as a carrier does, with the workers played by the test.
final class CallFixture {
  let folder: TemporaryFolder
  let services = FakeServices()
  let clock = ManualClock(wallMilliseconds: testNow)
  let context: CallContext
  let admission = Admission()

  static let backend = APIKey(
    id: "b", name: "Backend", owner: "backend", scopes: [.publish, .broadcast, .membership, .connections, .read])
  static let ann = Identity(
    user: "ann", tokenID: "t", issuedAtMilliseconds: 1, expiresAtMilliseconds: testNow + 3_600_000, chats: ["c1"])

  init(_ settings: String = "") async throws {
    folder = try TemporaryFolder()
    context = CallContext(
      services: services, access: SharedAccess(try await makeAccess(settings, folder: folder)), admission: admission,
      wall: clock.wall, monotonic: clock.monotonic)
  }

  /// The answer's text, or the error, of a call that is answered at once.
  @discardableResult func call(
    _ name: String, _ data: String, as caller: Caller = .server(backend),
    carrier: CallRequest.Carrier = .http(host: "rt.example.com:8480", secure: false)
  ) throws -> String {
    var answer: Result<[UInt8], CallError>?
    try begin(name, data, as: caller, carrier: carrier) {
      #expect(answer == nil)
      answer = $0
    }
    let result = String(decoding: try #require(answer).get(), as: UTF8.self)
    try Contract.check(name, data: data, result: result)
    return result
  }

  func begin(
    _ name: String, _ data: String, as caller: Caller = .server(backend),
    carrier: CallRequest.Carrier = .http(host: "rt.example.com:8480", secure: false), reply: @escaping CallReply
  ) throws {
    let callable = try #require(CallTable.find(name.utf8))
    try Array(data.utf8).withUnsafeBytes { text in
      let request = CallRequest(data: try JSONView(validating: text), caller: caller, carrier: carrier)
      CallTable.invoke(callable, request, context, reply: reply)
    }
  }

  /// The message of an INVALID_ARGUMENT refusal.
  func refusal(_ name: String, _ data: String, as caller: Caller = .server(backend)) -> String? {
    do {
      return "no refusal: \(try call(name, data, as: caller))"
    } catch let error as CallError {
      return error.code == .invalidArgument ? error.message : "\(error.code.wireName): \(error.message)"
    } catch {
      return "\(error)"
    }
  }
}

/// A session that notes what it is asked for.
final class FakeSession: CallSession {
  let connectionID = "conn_7"
  let number: UInt64 = 77
  let device = "phone"
  var topics: [Topic] = []
  func isSubscribed(to topic: Topic) -> Bool { topics.contains(topic) }
  var subscribed: [String] = []
  var positions: [Topic: Position] = [:]
  var unsubscribed: [String] = []
  var charged: UInt16 = 0
  func charge(_ frames: UInt16) { charged += frames }
  var result: Result<[AccessRules.Grant.Denial], CallError> = .success([])

  func subscribe(
    _ grant: AccessRules.Grant, positions: [Topic: Position],
    completion: @escaping (Result<[AccessRules.Grant.Denial], CallError>) -> Void
  ) {
    subscribed += grant.granted.map { grant.ifMember.contains($0) ? "\($0)?" : $0.name }
    self.positions = positions
    completion(result)
  }
  func unsubscribe(_ topics: [Topic]) { unsubscribed += topics.map(\.name) }
}

/// The fields of a record, as texts.
func described(_ record: [UInt8]) throws -> String {
  try record.withUnsafeBytes { bytes in
    let event = try #require(EventRecord(bytes))
    func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
    return """
      \(event.type.wireName) \(event.priority.wireName) ttl \(event.ttlSeconds)\(event.hasOwnTTL ? " own" : "") \
      at \(event.timestampMilliseconds) id \(text(event.eventID)) from \(text(event.sourceUserID)) \
      chat \(text(event.chatID)) message \(text(event.messageID))\(event.hasIDsBeside ? " beside" : "") \
      \(text(event.payload))
      """
  }
}
