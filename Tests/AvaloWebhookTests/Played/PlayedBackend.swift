import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

/// A backend in the test's hands: what it was posted, and how it answers. It believes everything, and sees when its
/// client goes away before the answer.
final class PlayedBackend: Sendable {
  struct Answer: Sendable {
    var status = 200
    var retryAfter: String?
  }
  private struct Post {
    var id: String
    var signature: String
    var connection: ObjectIdentifier
    var reply: @Sendable (Answer) -> Void
  }
  private struct State {
    /// Ids, in the order in which they came.
    var posts: [String] = []
    var signatures: [String: String] = [:]
    var underWay: [Post] = []
    var underWayMost = 0
    var cut: [String] = []
    var answers: [String: Answer] = [:]
    var isHeld = false
  }
  private let state = Mutex(State())
  private let listener = Mutex<(any Channel)?>(nil)

  /// Where it listens, once it has begun to.
  func start() async throws -> Int {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(Connection(self))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    listener.withLock { $0 = channel }
    return try #require(channel.localAddress?.port)
  }

  func stop() async throws { try await listener.withLock { $0 }?.close() }

  var posts: [String] { state.withLock { $0.posts } }
  /// What the last post of an event was signed with, apart by spaces.
  func signature(of id: String) -> String? { state.withLock { $0.signatures[id] } }
  var underWay: Set<String> { state.withLock { Set($0.underWay.map(\.id)) } }
  var underWayMost: Int { state.withLock { $0.underWayMost } }
  /// Posts whose client went away before the answer.
  var cut: [String] { state.withLock { $0.cut } }

  /// Answers nothing until it is released.
  func hold() { state.withLock { $0.isHeld = true } }

  func release() {
    let held = state.withLock { state in
      defer { state.underWay = [] }
      state.isHeld = false
      return state.underWay.map { ($0.reply, state.answers[$0.id] ?? Answer()) }
    }
    for (reply, answer) in held { reply(answer) }
  }

  /// What it says to every post of an event from now on; 200 to others.
  func answer(_ id: String, with status: Int, retryAfter: String? = nil) {
    state.withLock { $0.answers[id] = Answer(status: status, retryAfter: retryAfter) }
  }

  private func came(_ post: Post) {
    let answer = state.withLock { state -> Answer? in
      state.posts.append(post.id)
      state.signatures[post.id] = post.signature
      state.underWayMost = max(state.underWayMost, state.underWay.count + 1)
      guard state.isHeld else { return state.answers[post.id] ?? Answer() }
      state.underWay.append(post)
      return nil
    }
    if let answer { post.reply(answer) }
  }

  private func left(_ connection: ObjectIdentifier) {
    state.withLock { state in
      state.cut += state.underWay.filter { $0.connection == connection }.map(\.id)
      state.underWay.removeAll { $0.connection == connection }
    }
  }

  private final class Connection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private let backend: PlayedBackend
    private var headers = HTTPHeaders()

    init(_ backend: PlayedBackend) { self.backend = backend }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head): headers = head.headers
      case .body: break
      case .end:
        let channel = context.channel
        backend.came(
          Post(
            id: headers.first(name: "webhook-id") ?? "", signature: headers.first(name: "webhook-signature") ?? "",
            connection: ObjectIdentifier(self)
          ) { answer in
            var headers = HTTPHeaders([("Content-Length", "0")])
            if let retryAfter = answer.retryAfter { headers.add(name: "Retry-After", value: retryAfter) }
            let head = HTTPResponseHead(
              version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
            channel.write(HTTPServerResponsePart.head(head), promise: nil)
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
          })
      }
    }

    func channelInactive(context: ChannelHandlerContext) { backend.left(ObjectIdentifier(self)) }
  }
}
