import AvaloCore
import AvaloKeys
import AvaloMetrics
import AvaloReactor
import AvaloSystem
import AvaloWire
import Glibc
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import AvaloGateway

/// One HTTP connection on a loop that the test turns by hand: what a client sends, and what it gets, byte for byte.
final class HTTPFixture {
  let folder: TemporaryFolder
  let services = FakeServices()
  let clock = ManualClock(wallMilliseconds: testNow)
  let health = Health()
  let channel = EmbeddedChannel()
  let service: HTTPService
  let metrics = GatewayMetrics(MetricsRegistry())
  /// What the streams' hubs send to the scheduler.
  let port = TestPort()
  let key: String

  init(_ settings: String = "", secure: Bool = false) async throws {
    folder = try TemporaryFolder()
    var random = SystemRandomNumberGenerator()
    let made = AvaloKeys.APIKey(using: &random)
    key = made.text
    folder.write(
      "keys.json", #"[{"id":"b","hash":"\#(made.hash)","scopes":["publish","broadcast","read"]}]"#)
    let more = settings.isEmpty ? "" : ",\(settings)"
    let access = try await makeAccess(#""api_keys_file":"keys.json"\#(more)"#, folder: folder)
    let shared = SharedAccess(access)
    let making = HubMaking(
      port: port, access: shared, metrics: metrics, admission: Admission(),
      clock: clock.wall, log: Logger(label: "test"))
    service = HTTPService(
      calls: CallContext(
        services: services, access: shared, admission: making.admission, wall: clock.wall,
        monotonic: clock.monotonic, observer: CallMetrics(metrics)),
      health: health,
      streams: try HTTPService.Streams(
        on: channel.embeddedEventLoop, settings: LoopSettings(), addresses: nil, making: making))
    try service.serve(channel, secure: secure)
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
  }

  /// A request for a function, with the key, as a client sends it.
  func request(_ name: String, _ body: String, headers: String = "", type: String? = "application/json") -> String {
    let type = type.map { "Content-Type: \($0)\r\n" } ?? ""
    return "POST /\(name) HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(key)\r\n\(type)\(headers)"
      + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  func publish(_ id: String, headers: String = "") -> String {
    request(
      "publishRealtimeEvent",
      #"{"data":{"eventId":"\#(id)","type":"notification","targetUserId":"u","payload":{}}}"#, headers: headers)
  }

  /// Sends in one read.
  func send(_ text: String) throws {
    try channel.writeInbound(ByteBuffer(string: text))
  }

  /// What was written since, in how many writes.
  func received() throws -> (text: String, writes: Int) {
    channel.embeddedEventLoop.run()
    var text = ""
    var writes = 0
    while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
      text += String(buffer: buffer)
      writes += 1
    }
    return (text, writes)
  }

  func exchange(_ text: String) throws -> Answers {
    try send(text)
    return Answers(try received().text)
  }
}

/// A run of HTTP answers, taken apart strictly.
struct Answers: RandomAccessCollection {
  struct Answer {
    var status: Int
    var headers: [(name: String, value: String)]
    var body: String
    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    /// `STATUS: message` of an error's body.
    var error: String? {
      try? Array(body.utf8).withUnsafeBytes { text in
        let error = try JSONView(validating: text)["error"]
        guard let status = error?["status"]?.string, let message = error?["message"]?.string else { return nil }
        return "\(status): \(message)"
      }
    }
  }
  private(set) var answers: [Answer] = []
  /// What is left when it ends in the middle, or makes no sense.
  private(set) var rest = ""

  init(_ text: String) {
    var rest = text[...]
    while !rest.isEmpty {
      guard let end = rest.firstRange(of: "\r\n\r\n") else { break }
      let lines = rest[..<end.lowerBound].split(separator: "\r\n")
      let status = lines.first.flatMap { $0.hasPrefix("HTTP/1.1 ") ? Int($0.dropFirst(9).prefix(3)) : nil }
      let headers = lines.dropFirst().map { line -> (String, String) in
        let parts = line.split(separator: ": ", maxSplits: 1)
        return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
      }
      let length = headers.first { $0.0 == "Content-Length" }.flatMap { Int($0.1) } ?? 0
      let body = rest[end.upperBound...].utf8.prefix(length)
      guard let status, body.count == length else { break }
      answers.append(Answer(status: status, headers: headers, body: String(body) ?? "?"))
      rest = rest[body.endIndex...]
    }
    self.rest = String(rest)
  }

  var startIndex: Int { 0 }
  var endIndex: Int { answers.count }
  /// Status 0 where there is none, so that a test fails and goes on.
  subscript(index: Int) -> Answer {
    answers.indices.contains(index) ? answers[index] : Answer(status: 0, headers: [], body: "")
  }
}
