import AvaloReactor
import Glibc

/// A WebSocket server that answers each message with itself, on the gateway's own reactor and codec: what the conformance
/// suite talks to. Listens on a port of 127.0.0.1, whose number is the one line that it prints; ends with its input.
enum Echo {
  static func serve() {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard let port = bindToLoopback(listener) else { return fail("cannot listen: \(String(cString: strerror(errno)))") }
    do {
      let reactor = try Reactor.start(name: "echo", settings: settings) { EchoApplication($0.writer) }
      print(port)
      fflush(nil)
      while let accepted = accept(whileInputIsOpen: listener) { adopt(accepted, reactor) }
      reactor.stop()
      reactor.join()
    } catch {
      fail("\(error)")
    }
  }

  /// The suite sends messages of 16 MiB, and sends them faster than it reads.
  private static var settings: LoopSettings {
    var settings = LoopSettings()
    settings.messageBytesMax = 64 << 20
    settings.outboxBytesMax = 256 << 20
    settings.pingIntervalSeconds = 3600
    return settings
  }

  private static func accept(whileInputIsOpen listener: Int32) -> Int32? {
    var sources = [
      pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
      pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
    ]
    while true {
      guard poll(&sources, 2, -1) > 0 else { continue }
      if sources[1].revents != 0 { return nil }
      let accepted = Glibc.accept(listener, nil, nil)
      if accepted >= 0 { return accepted }
    }
  }

  /// Reads the request, and gives the connection to the reactor. The suite's requests are proper and come at once.
  private static func adopt(_ descriptor: Int32, _ reactor: ReactorHandle) {
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    var head: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      guard count > 0 else {
        close(descriptor)
        return
      }
      head += chunk[..<count]
      switch head.withUnsafeBytes({ UpgradeHead.parse($0) }) {
      case .incomplete: continue
      case .upgrade(let request, let key, let consumed):
        let response = UpgradeHead.acceptResponse(key: key, subprotocol: nil)
        let isTaken = reactor.adopt(
          descriptor: descriptor, response: response, early: Array(head[consumed...]), request: request)
        if !isTaken { close(descriptor) }
        return
      case .foreign, .bad:
        close(descriptor)
        return
      }
    }
  }

  private static func bindToLoopback(_ descriptor: Int32) -> UInt16? {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) == 0 && listen(descriptor, 128) == 0 ? getsockname(descriptor, $0, &size) : -1
      }
    }
    return result == 0 ? UInt16(bigEndian: address.sin_port) : nil
  }

  private static func fail(_ text: String) {
    let line = Array("avalo-echo: \(text)\n".utf8)
    write(STDERR_FILENO, line, line.count)
    exit(1)
  }
}

/// On the reactor's thread.
private final class EchoApplication: LoopApplication {
  private let writer: ConnectionWriter

  init(_ writer: ConnectionWriter) { self.writer = writer }

  func opened(_ connection: ConnectionID, _ request: UpgradeRequest) {}
  func message(_ connection: ConnectionID, _ text: UnsafeRawBufferPointer) { writer.text(connection, text) }
  func drained(_ connection: ConnectionID) {}
  func closed(_ connection: ConnectionID, clean: Bool) {}
  func woken() {}
  func tick() {}
  func turnEnding() {}
}
