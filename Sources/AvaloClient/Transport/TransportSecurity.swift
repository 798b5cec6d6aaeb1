import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// How TLS is spoken with `https` and `wss` endpoints: the server's certificate is checked, always.
public struct TransportSecurity: Sendable {
  private let context: Context

  /// - `trustRootsFile`: certificates in PEM form to trust instead of the system's, for a server with a certificate of
  ///   your own.
  public init(trustRootsFile: String? = nil) { context = Context(trustRootsFile: trustRootsFile) }

  /// Made when it is needed first, since reading the system's certificates takes time.
  private final class Context: Sendable {
    private let trustRootsFile: String?
    private let made = Mutex<NIOSSLContext?>(nil)

    init(trustRootsFile: String?) { self.trustRootsFile = trustRootsFile }

    func get() throws -> NIOSSLContext {
      try made.withLock { made in
        if let made { return made }
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let trustRootsFile { configuration.trustRoots = .file(trustRootsFile) }
        configuration.applicationProtocols = ["http/1.1"]
        let context = try NIOSSLContext(configuration: configuration)
        made = context
        return context
      }
    }
  }

  /// Puts TLS in front of what is added next, if the endpoint asks for it.
  func addHandler(to pipeline: ChannelPipeline.SynchronousOperations, for endpoint: Endpoint) throws {
    guard case .tls(let host, _) = endpoint else { return }
    // An address is no name that a server could be asked for (RFC 6066 §3); its certificate is checked for it all the same.
    let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
    try pipeline.addHandler(NIOSSLClientHandler(context: context.get(), serverHostname: isAddress ? nil : host))
  }
}

extension ClientBootstrap {
  func connect(to endpoint: Endpoint) -> EventLoopFuture<any Channel> {
    switch endpoint {
    case .tcp(let host, let port), .tls(let host, let port): connect(host: host, port: port)
    case .unix(let path): connect(unixDomainSocketPath: path)
    }
  }
}
