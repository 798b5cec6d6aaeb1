import AvaloSystem
import Glibc
import Testing

/// A bare client socket. Its calls block a thread of their own: tests and handlers share the few of the pool.
final class Peer: Sendable {
  private let descriptor: Int32

  static func connect(_ path: String) async throws -> Peer {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return try connect(to: address, domain: AF_UNIX)
  }
  static func connect(to address: sockaddr_in) async throws -> Peer { try connect(to: address, domain: AF_INET) }

  private static func connect<Address>(to address: Address, domain: Int32) throws -> Peer {
    let peer = Peer(socket(domain, Int32(SOCK_STREAM.rawValue), 0))
    let code = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(peer.descriptor, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
    try #require(code == 0)
    return peer
  }

  private init(_ descriptor: Int32) {
    self.descriptor = descriptor
    // A server that never answers fails the test, not the run.
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }
  deinit { close(descriptor) }

  func send(_ text: String) async {
    await blocking { [descriptor] in
      let bytes = Array(text.utf8)
      _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
  }
  func shutdownWriting() async { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends a request and answers how many bytes come back at first; 0 when the server closed.
  func ask(_ text: String) async -> Int {
    await send(text)
    return await blocking { [descriptor] in
      var chunk = [UInt8](repeating: 0, count: 4096)
      return max(0, read(descriptor, &chunk, chunk.count))
    }
  }
  /// Whether the server closes, saying no more: within ten seconds.
  func seesTheEnd() async -> Bool {
    await blocking { [descriptor] in
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = read(descriptor, &chunk, chunk.count)
      return count == 0 || count < 0 && errno == ECONNRESET
    }
  }
  /// Everything until the server closes.
  func readAll() async -> String {
    await blocking { [descriptor] in
      var all: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count <= 0 { return String(decoding: all, as: UTF8.self) }
        all.append(contentsOf: chunk[..<count])
      }
    }
  }

  private func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      do {
        try SystemThread.start(name: "peer") { continuation.resume(returning: body()) }
      } catch {
        preconditionFailure("\(error)")
      }
    }
  }
}
