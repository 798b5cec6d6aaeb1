import AvaloSystem
import AvaloWeb
import NIOCore
import NIOPosix
import Testing

@testable import AvaloWebhook

/// Endpoints as nobody wants them.
@Suite struct PosterTests {
  /// Answers the first bytes that come with so much of a text at a time, and never ends by itself.
  private final class Answerer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var rest: ByteBuffer
    private let bytesAtATime: Int
    private var hasBegun = false

    init(_ text: String, bytesAtATime: Int) {
      rest = ByteBuffer(string: text)
      self.bytesAtATime = bytesAtATime
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if !hasBegun { goOn(context) }
      hasBegun = true
    }

    private func goOn(_ context: ChannelHandlerContext) {
      let length = min(bytesAtATime, rest.readableBytes)
      guard length > 0, context.channel.isActive, let bytes = rest.readSlice(length: length) else { return }
      context.channel.writeAndFlush(bytes, promise: nil)
      let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
      context.eventLoop.scheduleTask(in: .milliseconds(20)) { bound.value.0.goOn(bound.value.1) }
    }
  }

  private func post(
    _ text: String, bytesAtATime: Int = .max, scheme: String = "http", within time: Duration = .seconds(10)
  ) async throws -> Outcome {
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Answerer(text, bytesAtATime: bytesAtATime))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(server.localAddress?.port)
    let outcome = try await post(to: "\(scheme)://127.0.0.1:\(port)/events", within: time)
    try await server.close()
    return outcome
  }

  private func post(to url: String, within time: Duration) async throws -> Outcome {
    let web = WebClient(MultiThreadedEventLoopGroup.singleton)
    let secrets = try SigningSecrets(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    let poster = Poster(web: web, url: url, timeout: time, secrets: secrets, wall: .system)
    let outcome = await poster.post(id: "evt_1_1", body: Array("{}".utf8))
    await web.stop()
    return outcome
  }

  private func isUnavailable(_ outcome: Outcome) -> Bool {
    if case .unavailable(_, retryAfter: nil) = outcome { true } else { false }
  }

  @Test func anAnswerIsWhatItsHeadSays() async throws {
    #expect(try await post("HTTP/1.1 204 No Content\r\n\r\n") == .taken)
    let moved = try await post("HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    #expect(moved == .refused(status: 307, retryAfter: nil), "it is not followed")
    #expect(try await post("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n") == .refused(status: 410, retryAfter: nil))
    let early = "HTTP/1.1 103 Early Hints\r\n\r\n"
    #expect(try await post(early + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == .taken)
  }

  /// The body is not read to its end, and its length is nobody's business.
  @Test func aBodyThatIsHugeOrNeverEndsIsNone() async throws {
    let huge = String(repeating: "x", count: WebhookLimits.answerBytesMax * 4)
    #expect(try await post("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + huge) == .taken)
    #expect(try await post("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", within: .milliseconds(500)) == .taken)
  }

  @Test func aHeadThatDoesNotComeInTimeOrDoesNotEndIsNone() async throws {
    let slow = try await post(
      "HTTP/1.1 200 OK\r\nServer: " + String(repeating: "s", count: 1000), bytesAtATime: 1, within: .milliseconds(500))
    #expect(isUnavailable(slow), "\(slow)")
    let huge = try await post("HTTP/1.1 200 OK\r\nServer: " + String(repeating: "s", count: 1 << 20))
    #expect(isUnavailable(huge), "\(huge)")
    let noise = try await post("SSH-2.0-OpenSSH_9.2\r\n")
    #expect(isUnavailable(noise), "\(noise)")
  }

  @Test func whoCannotBeReachedSafelyIsNotThere() async throws {
    let plain = try await post("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", scheme: "https", within: .seconds(1))
    #expect(isUnavailable(plain), "\(plain)")
    for url in ["http://127.0.0.1:1/", "https://nobody.invalid/"] {
      let outcome = try await post(to: url, within: .seconds(1))
      #expect(isUnavailable(outcome), "\(outcome)")
    }
  }
}
