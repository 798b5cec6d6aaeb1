import NIOCore
import NIOPosix

/// One HTTP/1.1 request of a test over a connection of its own, written and read as bytes, so that it agrees with no
/// code of ours by accident.
public enum HTTPExchange {
  public enum Place: Sendable {
    case unix(String)
    case internet(host: String, port: Int)
  }

  public struct Answer: Sendable {
    public var status: Int
    /// Names in lower case.
    public var headers: [String: String]
    public var body: String
  }

  public static func send(
    _ method: String, _ path: String, to place: Place, headers: [String: String] = [:], body: String = "",
    within time: Duration = .seconds(20)
  ) async throws -> Answer {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let collected = loop.makePromise(of: ByteBuffer.self)
    let bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(Collector(collected))
      }
    }
    let connecting: EventLoopFuture<any Channel> =
      switch place {
      case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
      case .internet(let host, let port): bootstrap.connect(host: host, port: port)
      }
    connecting.cascadeFailure(to: collected)
    let deadline = loop.scheduleTask(in: .nanoseconds(Int64(time / .nanoseconds(1)))) {
      collected.fail(TestProcessError("no answer to \(method) \(path) within \(time)"))
    }
    defer { deadline.cancel() }
    var request = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    for (name, value) in headers { request += "\(name): \(value)\r\n" }
    request += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    let written = ByteBuffer(string: request)
    connecting.whenSuccess { $0.writeAndFlush(written, promise: nil) }
    let bytes = try await collected.futureResult.get()
    connecting.whenSuccess { $0.close(promise: nil) }
    return try parse(String(buffer: bytes))
  }

  private static func parse(_ text: String) throws -> Answer {
    guard let end = text.firstRange(of: "\r\n\r\n") else { throw TestProcessError("no HTTP answer: \(text)") }
    let lines = text[..<end.lowerBound].split(separator: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw TestProcessError("no HTTP answer: \(text)")
    }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      headers[parts[0].lowercased()] = parts[1].drop { $0 == " " }.description
    }
    return Answer(status: status, headers: headers, body: String(text[end.upperBound...]))
  }

  /// Keeps all bytes until the other side closes.
  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var bytes = ByteBuffer()
    private let done: EventLoopPromise<ByteBuffer>

    init(_ done: EventLoopPromise<ByteBuffer>) { self.done = done }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      var part = unwrapInboundIn(data)
      bytes.writeBuffer(&part)
    }
    func channelInactive(context: ChannelHandlerContext) { done.succeed(bytes) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      done.fail(error)
      context.close(promise: nil)
    }
  }
}
