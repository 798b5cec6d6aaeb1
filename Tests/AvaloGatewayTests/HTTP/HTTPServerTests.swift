import AvaloCore
import AvaloKeys
import AvaloSystem
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Testing

@testable import AvaloGateway

/// The same connection over real sockets: what the kernel adds, resets and half-closes above all.
@Suite struct HTTPServerTests {
  @Test func answersPipelinedRequestsInOrderOverOneConnection() async throws {
    let server = try await TestServer()
    let client = try RawClient(port: server.port)
    let count = 300
    client.send((0..<count).map { server.publish("e\($0)") }.joined())
    let answers = Answers(client.receive { Answers($0).count == count })
    #expect(answers.rest.isEmpty)
    #expect(answers.map(\.status) == Array(repeating: 200, count: count))
    #expect((0..<count).allSatisfy { answers[$0].body.contains("\"eventId\":\"e\($0)\"") })
    try await server.stop()
  }

  @Test func anAnswerGivenBeforeTheRequestEndsIsNotLostInAReset() async throws {
    let server = try await TestServer()
    for _ in 0..<10 {
      let client = try RawClient(port: server.port)
      client.send(
        "POST /publishRealtimeEvent HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
      )
      client.send(String(repeating: "x", count: 200_000))
      let answers = Answers(client.receive())
      #expect(answers.map(\.status) == [400] && answers.rest.isEmpty)
      #expect(answers[0].error == "INVALID_ARGUMENT: the body may have 262144 bytes")
      client.close()
    }
    try await server.stop()
  }

  @Test func answersAClientThatShutDownItsSide() async throws {
    let server = try await TestServer()
    let client = try RawClient(port: server.port)
    client.send(server.publish("a") + server.publish("b"))
    client.shutDown()
    #expect(Answers(client.receive()).map(\.status) == [200, 200])
    try await server.stop()
  }

  @Test func refusesASlowHeadAndClosesAnIdleConnection() async throws {
    let server = try await TestServer(#""limits":{"http_read_time":"1s","http_idle_time":"2s"}"#)
    let slow = try RawClient(port: server.port)
    slow.send("POST /publish")
    #expect(Answers(slow.receive()).map(\.status) == [400])
    let idle = try RawClient(port: server.port)
    #expect(idle.receive().isEmpty)
    try await server.stop()
  }

  @Test func aClientThatNeverLeavesIsLeft() async throws {
    let server = try await TestServer()
    let client = try RawClient(port: server.port)
    client.send("nonsense\r\n\r\n")
    #expect(Answers(client.receive()).map(\.status) == [400])
    // Our side is closed; the client's is not, and after a while nobody waits for it.
    try await server.waitUntilEmpty()
    try await server.stop()
  }

  @Test func speaksTLSWithTheCertificateInForce() async throws {
    let folder = try TemporaryFolder()
    let rsa = TLSSettings(
      certificate: folder.write("rsa.crt", TestKeys.rsaCertificate), key: folder.write("rsa.key", TestKeys.rsaPrivate))
    let p256 = TLSSettings(
      certificate: folder.write("p256.crt", TestKeys.p256Certificate),
      key: folder.write("p256.key", TestKeys.p256Private))
    let context = try TLSContext(rsa)
    let server = try await TestServer(tls: context)
    let request = server.publish("e").replacing("\r\n\r\n", with: "\r\nConnection: close\r\n\r\n", maxReplacements: 1)

    let first = try await TLSClient.exchange(request, port: server.port)
    #expect(Answers(first.text).map(\.status) == [200])
    #expect(first.certificate == Array(try NIOSSLCertificate.fromPEMFile(rsa.certificate)[0].toDERBytes()))
    #expect(first.protocolName == "http/1.1")

    // A key of another certificate: refused, and the old pair stays in force.
    let error = #expect(throws: SettingsProblem.self) {
      try context.reload(TLSSettings(certificate: rsa.certificate, key: p256.key))
    }
    #expect(error?.description.hasPrefix("tls: \(p256.key) is not the key of \(rsa.certificate)") == true)
    let second = try await TLSClient.exchange(request, port: server.port)
    #expect(second.certificate == first.certificate)

    try context.reload(p256)
    let third = try await TLSClient.exchange(request, port: server.port)
    #expect(third.certificate == Array(try NIOSSLCertificate.fromPEMFile(p256.certificate)[0].toDERBytes()))

    await #expect(throws: (any Error).self) {
      try await TLSClient.exchange(request, port: server.port, maximum: .tlsv11)
    }
    // Who speaks no TLS gets no answer, and hurts nobody.
    let plain = try RawClient(port: server.port)
    plain.send(request)
    #expect(!plain.receive().contains("HTTP/1.1 200"))
    #expect(Answers(try await TLSClient.exchange(request, port: server.port).text).map(\.status) == [200])
    try await server.stop()
  }

  @Test func saysWhatIsWrongWithACertificate() throws {
    let folder = try TemporaryFolder()
    let good = folder.write("crt", TestKeys.rsaCertificate)
    let noise = folder.write("noise", "hello")
    for (certificate, key, path, text) in [
      ("\(folder.path)/none", noise, "tls.certificate", "\(folder.path)/none: "),
      (noise, noise, "tls.certificate", "\(noise): holds no certificate"),
      (good, noise, "tls.key", "\(noise): holds no private key in PEM form"),
      (good, "\(folder.path)/none", "tls.key", "\(folder.path)/none: "),
    ] {
      let error = #expect(throws: SettingsProblem.self) {
        try TLSContext(TLSSettings(certificate: certificate, key: key))
      }
      #expect(error?.path == path && error?.message.hasPrefix(text) == true, "\(String(describing: error))")
    }
  }
}

/// The HTTP side of a gateway on a port of its own, with the workers played by the test.
private final class TestServer {
  let port: Int
  private let key: String
  private let folder: TemporaryFolder
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let listener: any Channel
  private let open = NIOLockedValueBox(0)

  init(_ settings: String = "", tls: TLSContext? = nil) async throws {
    folder = try TemporaryFolder()
    var random = SystemRandomNumberGenerator()
    let made = AvaloKeys.APIKey(using: &random)
    key = made.text
    folder.write("keys.json", #"[{"id":"b","hash":"\#(made.hash)","scopes":["publish"]}]"#)
    let more = settings.isEmpty ? "" : ",\(settings)"
    let access = SharedAccess(try await makeAccess(#""api_keys_file":"keys.json"\#(more)"#, folder: folder))
    let loop = group.next()
    let service = try await loop.submit {
      NIOLoopBound(
        HTTPService(
          calls: CallContext(services: FakeServices(), access: access, admission: Admission()), health: Health()),
        eventLoop: loop)
    }.get()
    let open = open
    listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          open.withLockedValue { $0 += 1 }
          channel.closeFuture.whenComplete { _ in open.withLockedValue { $0 -= 1 } }
          if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
          try service.value.serve(channel, secure: tls != nil)
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = try #require(listener.localAddress?.port)
  }

  func publish(_ id: String) -> String {
    let body = #"{"data":{"eventId":"\#(id)","type":"notification","targetUserId":"u","payload":{}}}"#
    return "POST /publishRealtimeEvent HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(key)\r\n"
      + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  /// Until every connection is gone; a test that waits in vain is ended by its time limit.
  func waitUntilEmpty() async throws {
    while open.withLockedValue({ $0 }) > 0 { try await Task.sleep(for: .milliseconds(10)) }
  }

  func stop() async throws {
    try await listener.close()
    try await group.shutdownGracefully()
  }
}

/// A client made of system calls: it sends what it is told and reads what there is.
private final class RawClient {
  private let descriptor: Int32

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var time = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(connected == 0)
  }
  deinit { close() }

  func send(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  /// Up to the end, an error, or `enough`.
  func receive(until enough: (String) -> Bool = { _ in false }) -> String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      guard count > 0 else { break }
      bytes += chunk[..<count]
      if enough(String(decoding: bytes, as: UTF8.self)) { break }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func shutDown() { shutdown(descriptor, Int32(SHUT_WR)) }

  private var isClosed = false
  func close() {
    if !isClosed { Glibc.close(descriptor) }
    isClosed = true
  }
}

/// One request over TLS to whoever answers, and what they showed.
private enum TLSClient {
  struct Result: Sendable {
    var text = ""
    var certificate: [UInt8] = []
    var protocolName: String?
  }

  static func exchange(_ request: String, port: Int, maximum: TLSVersion = .tlsv13) async throws -> Result {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .noHostnameVerification
    configuration.minimumTLSVersion = .tlsv1
    configuration.maximumTLSVersion = maximum
    configuration.applicationProtocols = ["h2", "http/1.1"]
    let context = try NIOSSLContext(configuration: configuration)
    let certificate = NIOLockedValueBox<[UInt8]>([])
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let done = loop.makePromise(of: Result.self)
    do {
      _ = try await ClientBootstrap(group: loop).channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let tls = try NIOSSLClientHandler(
            context: context, serverHostname: nil,
            customVerificationCallback: { chain, verdict in
              certificate.withLockedValue { $0 = (try? chain.first?.toDERBytes()) ?? [] }
              verdict.succeed(.certificateVerified)
            })
          try channel.pipeline.syncOperations.addHandlers([tls, Reader(request, done)])
        }
      }.connect(host: "127.0.0.1", port: port).get()
    } catch {
      done.fail(error)
    }
    var result = try await done.futureResult.get()
    result.certificate = certificate.withLockedValue { $0 }
    return result
  }

  private final class Reader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let request: String
    private let done: EventLoopPromise<Result>
    private var result = Result()

    init(_ request: String, _ done: EventLoopPromise<Result>) {
      self.request = request
      self.done = done
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if case TLSUserEvent.handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
        result.protocolName = negotiated
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
      }
      context.fireUserInboundEventTriggered(event)
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      result.text += String(buffer: Self.unwrapInboundIn(data))
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      done.fail(error)
      context.close(promise: nil)
    }
    func channelInactive(context: ChannelHandlerContext) {
      if result.text.isEmpty { done.fail(ChannelError.eof) } else { done.succeed(result) }
    }
  }
}
