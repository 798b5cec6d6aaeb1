import AvaloCore
import AvaloReactor
import AvaloWire
import NIOCore
import NIOEmbedded
import Testing

@testable import AvaloGateway

/// An HTTP connection that becomes a stream, with the scheduler played by the test. The topic's handle is the first of the
/// stream's loop.
final class StreamFixture {
  let http: HTTPFixture
  let face: Face
  /// Tokens by user, signed with the test's secret.
  private let tokens: [String: String]
  private(set) var channel: EmbeddedChannel

  init(_ face: Face = .eventStream) async throws {
    self.face = face
    http = try await HTTPFixture()
    channel = http.channel
    tokens = ["ann": try await userToken("ann", chats: ["c"]), "bob": try await userToken("bob")]
    mailbox.post(.schedulerUp(link: 1))
    http.channel.embeddedEventLoop.run()
  }

  /// A stream of `user`'s inbox that is live at `head`.
  static func live(_ user: String, at head: Position, _ face: Face = .eventStream) async throws -> StreamFixture {
    let fixture = try await StreamFixture(face)
    switch face {
    case .callStream: try fixture.call("{}", user: user)
    default: try fixture.get("/events", user: user)
    }
    let attach = try #require(try fixture.port.take(Attach.self).first)
    try fixture.attached(attach, at: [head])
    try fixture.watched(head)
    _ = try fixture.received()
    return fixture
  }

  var port: TestPort { http.port }
  var streams: HTTPService.Streams { http.service.streams! }
  var mailbox: Mailbox<HubMail> {
    switch face {
    case .callStream: streams.calls.mailbox
    case .poll: streams.polls.mailbox
    default: streams.events.mailbox
    }
  }
  var handle: UInt32 {
    switch face {
    case .callStream: 4 << 24
    case .poll: 5 << 24
    default: 3 << 24
    }
  }

  // MARK: The client

  func request(_ line: String, user: String?, headers: String = "", body: String = "") -> String {
    let token = user.flatMap { tokens[$0] }.map { "Authorization: Bearer \($0)\r\n" } ?? ""
    let length = body.isEmpty ? "" : "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
    return "\(line) HTTP/1.1\r\nHost: h\r\n\(token)\(length)\(headers)\r\n\(body)"
  }

  func get(_ target: String, user: String?, headers: String = "") throws {
    try send(request("GET \(target)", user: user, headers: headers))
  }

  /// Calls a function as Firebase's SDKs do when they stream.
  func call(_ data: String, user: String?, name: String = "subscribeToRealtimeEventsV1") throws {
    try send(
      request(
        "POST /\(name)", user: user, headers: "Accept: text/event-stream\r\n", body: #"{"data":\#(data)}"#))
  }

  func send(_ text: String) throws {
    try channel.writeInbound(ByteBuffer(string: text))
    channel.embeddedEventLoop.run()
  }

  func received() throws -> String { try StreamFixture.received(channel) }

  static func received(_ channel: EmbeddedChannel) throws -> String {
    channel.embeddedEventLoop.run()
    var text = ""
    while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
    return text
  }

  /// A connection of its own for what comes next.
  @discardableResult func reconnect() throws -> EmbeddedChannel {
    channel = EmbeddedChannel(loop: http.channel.embeddedEventLoop)
    try http.service.serve(channel, secure: false)
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    return channel
  }

  /// The members of `subscribeToRealtimeEventsV1`'s answer that are texts.
  func subscribe(_ user: String, _ data: String) throws -> [String: String] {
    try send(request("POST /subscribeToRealtimeEventsV1", user: user, body: #"{"data":\#(data)}"#))
    let body = Answers(try received())[0].body
    return try Array(body.utf8).withUnsafeBytes { text in
      let result = try #require(try JSONView(validating: text)["result"], "\(body)")
      return Dictionary(
        uniqueKeysWithValues: result.members.compactMap { key, value in
          value.string.map { (key.string ?? "", $0) }
        })
    }
  }

  // MARK: The scheduler

  func scheduler(_ build: (inout WireWriter) -> Void) {
    var writer = WireWriter()
    port.refuseReads(&writer)
    build(&writer)
    mailbox.post(.scheduler(ByteBuffer(bytes: writer.bytes)))
    http.channel.embeddedEventLoop.run()
  }

  func attached(_ attach: (message: Attach, correlation: UInt32), at cursors: [Position]) throws {
    scheduler { $0.frame(Attached(cursors: cursors), correlation: attach.correlation) }
  }

  /// The heads of the topics in the order in which they were watched.
  func watched(_ heads: Position...) throws {
    scheduler {
      $0.frame(
        Watched(
          heads: heads.enumerated().map { Head(handle: handle + UInt32($0.offset), position: $0.element, floor: 0) }))
    }
  }

  func deliver(_ offset: UInt64, _ payload: String, priority: Priority = .normal) {
    let record = EventFields(
      type: .chatMessage, priority: priority, timestampMilliseconds: 1, acceptedMicroseconds: 1, eventID: "e",
      payload: Array(payload.utf8)
    ).record()
    scheduler { Deliver.write(record: record, targets: [.init(handle: handle, offset: offset)], into: &$0) }
  }
}
