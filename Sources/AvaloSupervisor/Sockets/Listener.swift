import AvaloSystem
import CAvalo
import Glibc

/// A bound, listening socket that avalod holds, so that it outlives the processes that accept on it. Its descriptor is
/// close-on-exec and not blocking. Closed by ``close()``.
struct Listener: Equatable, Sendable {
  /// As it was configured; the port may be 0.
  let configured: ListenAddress
  /// Where it is.
  let address: ListenAddress
  let descriptor: Int32

  /// Binds and listens.
  /// - `neighbour`: whether we hold a socket at this address already, with which this one shares the connections.
  init(_ address: ListenAddress, backlog: Int, mode: UInt32, neighbour: Bool) throws(ListenError) {
    switch address {
    case .internet:
      // SO_REUSEPORT would let us share a port with a stranger of the same user: the first bind is without.
      if !neighbour {
        let probe = try Listener.socket(address, reusingPort: false)
        let result = Listener.bound(probe, address) && listen(probe, 1) == 0
        let error = errno
        Glibc.close(probe)
        if !result { throw ListenError(address: address, code: error) }
      }
      descriptor = try Listener.socket(address, reusingPort: true)
    case .unix(let path):
      try Listener.removeStale(path, address)
      descriptor = try Listener.socket(address, reusingPort: false)
      // Before bind(2), so that the file never has more permissions; after it, because of the umask.
      _ = fchmod(descriptor, mode)
    }
    let result = Listener.bound(descriptor, address) && listen(descriptor, Int32(backlog)) == 0
    guard result, let actual = ListenAddress(boundTo: descriptor) else {
      let error = errno
      Glibc.close(descriptor)
      throw ListenError(address: address, code: error)
    }
    if case .unix(let path) = address { _ = chmod(path, mode) }
    configured = address
    self.address = actual
  }

  /// A socket that a service manager kept or opened for us; `nil` when it does not listen.
  init?(inherited descriptor: Int32) {
    var listens: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0, listens == 1,
      let address = ListenAddress(boundTo: descriptor)
    else { return nil }
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
    self.descriptor = descriptor
    self.address = address
    configured = address
  }

  /// Changed settings of a socket that stays.
  func adjust(backlog: Int, mode: UInt32) {
    _ = listen(descriptor, Int32(backlog))
    if case .unix(let path) = address { _ = chmod(path, mode) }
  }

  /// Connections that nobody accepted are reset, unless a process inherited it.
  func close() {
    if case .unix(let path) = address { unlink(path) }
    Glibc.close(descriptor)
  }

  private static func socket(_ address: ListenAddress, reusingPort: Bool) throws(ListenError) -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = Glibc.socket(address.family, kind, 0)
    guard descriptor >= 0 else { throw ListenError(address: address, code: errno) }
    guard case .internet(let internet) = address else { return descriptor }
    var on: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    let isSet =
      setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size) == 0
      // Two addresses are two listeners; `[::]` does not take the other family's port.
      && (!internet.isVersion6 || setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, size) == 0)
      && (!reusingPort || avalo_set_reuse_port(descriptor) == 0)
    guard isSet else {
      let error = errno
      Glibc.close(descriptor)
      throw ListenError(address: address, code: error)
    }
    return descriptor
  }

  private static func bound(_ descriptor: Int32, _ address: ListenAddress) -> Bool {
    address.withSocketAddress { bind(descriptor, $0, $1) } == 0
  }

  /// Takes away the file that a dead process left; one that answers belongs to a living process.
  private static func removeStale(_ path: String, _ address: ListenAddress) throws(ListenError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw ListenError(address: address, code: EEXIST) }
    let probe = try socket(address, reusingPort: false)
    defer { Glibc.close(probe) }
    let result = address.withSocketAddress { connect(probe, $0, $1) }
    guard result != 0, errno == ECONNREFUSED else { throw ListenError(address: address, code: EADDRINUSE) }
    unlink(path)
  }
}

/// A listener that could not be bound.
public struct ListenError: Error, Equatable, Sendable, CustomStringConvertible {
  var address: ListenAddress
  var code: Int32
  /// Whose it is: `gateway.client`.
  var owner = ""

  public var description: String {
    let hint =
      switch code {
      case EADDRINUSE: " (another program listens there)"
      case EACCES: " (a port below 1024 needs CAP_NET_BIND_SERVICE; a path needs a folder that can be written)"
      case EADDRNOTAVAIL: " (no interface of this machine has that address)"
      case EPERM: " (avalod's user is not in the group it is to have: see SupplementaryGroups= in systemd.exec(5))"
      case ENOENT: " (its folder does not exist)"
      case EEXIST: " (a file that is no socket is there)"
      default: ""
      }
    return "cannot listen at \(address): \(SystemError.text(of: code))\(hint)"
  }
}
