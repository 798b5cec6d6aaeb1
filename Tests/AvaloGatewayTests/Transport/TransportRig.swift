import AvaloReactor
import AvaloTesting
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import AvaloGateway

/// What carries a test's WebSockets.
enum TransportKind: CaseIterable {
  case reactor
  case nio
  case nioTLS
}

/// A listener with everything behind it: sniffer, policy, a reactor and NIO transports, and a recording hub on each loop.
final class TransportRig: Sendable {
  static let backlog: Int32 = 1000

  let kind: TransportKind
  let recorder: LoopRecorder
  let port: Int
  let reactor: ReactorHandle
  let outcomes = Mutex<[UpgradeOutcome]>([])
  let requests = Mutex<[UpgradeRequest]>([])
  /// Answers what is no handshake; without it everything is greeted.
  let backend: HTTPBackend?

  private let group: MultiThreadedEventLoopGroup
  private let clients: MultiThreadedEventLoopGroup
  private let transports: NIOTransports
  private let listener: any Channel
  let listenerDescriptor: Int32
  private let clientContext: NIOSSLContext

  /// Starts one, runs `body`, and takes everything down again.
  static func run(
    _ kind: TransportKind, echoes: Bool = true, clock: LoopClock = .monotonic, addresses: AddressBudget? = nil,
    headTimeMax: TimeAmount = .seconds(10), connectionsMax: Int = .max,
    proxies: TrustedProxies? = nil, countsAtOnce: Bool = false, answersHTTP: Bool = false,
    change: (inout LoopSettings) -> Void = { _ in },
    body: (TransportRig) throws -> Void
  ) async throws {
    var settings = LoopSettings()
    settings.connectionsMax = 256
    change(&settings)
    let rig = try await TransportRig(
      kind, echoes, clock, addresses, headTimeMax, connectionsMax, proxies, countsAtOnce, answersHTTP, settings)
    do {
      try body(rig)
    } catch {
      try await rig.stop()
      throw error
    }
    try await rig.stop()
  }

  private init(
    _ kind: TransportKind, _ echoes: Bool, _ clock: LoopClock, _ addresses: AddressBudget?, _ headTimeMax: TimeAmount,
    _ connectionsMax: Int, _ proxies: TrustedProxies?, _ countsAtOnce: Bool, _ answersHTTP: Bool,
    _ settings: LoopSettings
  ) async throws {
    let recorder = LoopRecorder(echoes: echoes)
    self.kind = kind
    self.recorder = recorder
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    clients = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    clientContext = try TLSTunnel.clientContext()
    let usesReactor = kind == .reactor
    // The recorder listens to one of them: the one that this kind's connections live on.
    let idle = LoopRecorder()
    reactor = try Reactor.start(name: "test", settings: settings, addresses: addresses, clock: clock) { reactor in
      RecordingApplication(reactor.writer, reactor.waker, usesReactor ? recorder : idle)
    }
    transports = try await NIOTransports.start(
      on: group, settings: settings, addresses: addresses, clock: clock
    ) { transport in
      RecordingApplication(transport.writer, transport.waker, usesReactor ? idle : recorder)
    }
    let socket = try LoopbackListener(backlog: TransportRig.backlog)
    port = socket.port
    let watcher = Watcher()
    let backend = answersHTTP ? try await HTTPBackend(on: group.next()) : nil
    self.backend = backend
    var door = FrontDoor(
      policy: { watcher.decide($0) },
      http: { channel, handshake in
        if let backend {
          return try backend.service.value.serve(channel, secure: kind == .nioTLS, handshake: handshake)
        }
        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
        try channel.pipeline.syncOperations.addHandler(Greeter())
      }, transports: transports)
    door.reactors = usesReactor ? [reactor] : []
    door.addresses = addresses
    door.headTimeMax = headTimeMax
    door.connectionsMax = connectionsMax
    door.headersOf = { proxies }
    door.corsHeaders = { CORSPolicy(CORSSettings(origins: ["https://app.example.com"])).headers(toRefusalOf: $0) }
    door.acceptedAddress = { countsAtOnce ? $0 : nil }
    door.observe = { watcher.observe($0) }
    let folder = try TemporaryFolder()
    let files = TLSSettings(
      certificate: folder.write("p256.crt", TestKeys.p256Certificate),
      key: folder.write("p256.key", TestKeys.p256Private))
    listenerDescriptor = socket.take()
    listener = try await ListenerBootstrap.listen(
      inherited: listenerDescriptor, on: group, door: door, tls: kind == .nioTLS ? try TLSContext(files) : nil)
    watcher.rig.withLock { $0 = Unowned(self) }
  }

  private func stop() async throws {
    try await listener.close()
    reactor.stop()
    reactor.join()
    try await transports.stop()
    try await group.shutdownGracefully()
    try await clients.shutdownGracefully()
  }

  // MARK: Clients

  /// A connected client that has sent nothing.
  func dial(receiveBuffer: Int32? = nil) throws -> SocketProbe {
    switch kind {
    case .reactor, .nio: try SocketProbe.connect(port: port, receiveBuffer: receiveBuffer)
    case .nioTLS: try TLSTunnel.connect(port: port, on: clients, context: clientContext)
    }
  }

  static func request(_ target: String = "/ws", extra: String = "") -> [UInt8] {
    Array(
      """
      GET \(target) HTTP/1.1\r
      Host: x\r
      Upgrade: websocket\r
      Connection: keep-alive, Upgrade\r
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
      Sec-WebSocket-Version: 13\r
      \(extra)\r

      """.utf8)
  }

  /// A client whose upgrade was accepted.
  func connect(_ target: String = "/ws", early: [UInt8] = [], receiveBuffer: Int32? = nil) throws -> SocketProbe {
    let probe = try dial(receiveBuffer: receiveBuffer)
    try probe.send(TransportRig.request(target) + early)
    let head = try probe.head()
    try #require(head.hasPrefix("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "\(head)")
    return probe
  }

  func waitForClosed(_ count: Int = 1, clean: Bool) -> Bool {
    recorder.wait { $0.filter { $0 == .closed(clean: clean) }.count == count }
  }

  /// Queues one text frame of `count` bytes on the first connection.
  func queue(_ count: Int, _ prefix: String = "") {
    recorder.onLoop { application in
      let start = application.writer.allocate(count)
      start.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "."), count: count)
      start.copyMemory(from: Array(prefix.utf8), byteCount: min(count, prefix.utf8.count))
      if let connection = application.connections.first {
        application.writer.text(connection, UnsafeRawBufferPointer(start: start, count: count))
      }
    }
  }

  var backlog: Int {
    recorder.onLoop { application in application.connections.first.map { application.writer.backlog($0) } ?? 0 }
  }

  var counters: LoopCounters { recorder.onLoop { $0.writer.counters } }

  // MARK: Policy

  /// Refuses what asks for it, chooses `avalo.v1` when it is offered.
  private final class Watcher: Sendable {
    let rig = Mutex<Unowned?>(nil)

    func decide(_ request: UpgradeRequest) -> UpgradeDecision {
      rig.withLock { $0 }?.rig.requests.withLock { $0.append(request) }
      if request.query.contains("refuse") {
        return .refuse(status: 403, headers: [("X-Why", "asked for")], body: "no")
      }
      return .accept(subprotocol: request.protocols.contains("avalo.v1") ? "avalo.v1" : nil)
    }

    func observe(_ outcome: UpgradeOutcome) {
      rig.withLock { $0 }?.rig.outcomes.withLock { $0.append(outcome) }
    }
  }

  /// The rig outlives its listener.
  private struct Unowned: Sendable {
    unowned let rig: TransportRig
    init(_ rig: TransportRig) { self.rig = rig }
  }

  /// Says hello to every HTTP request, with its target and the size of its body.
  private final class Greeter: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private var target = ""
    private var bodyBytes = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head):
        target = head.uri
        bodyBytes = 0
      case .body(let body):
        bodyBytes += body.readableBytes
      case .end:
        let text = "hello \(target) \(bodyBytes)\n"
        let headers = HTTPHeaders([("Content-Length", "\(text.utf8.count)")])
        context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }
  }
}
