import AvaloSystem
import NIOCore
import NIOSSL
import Synchronization

/// The certificate that connections are answered with. A reload replaces it for those that come later; those that are
/// open keep the one they began with.
public final class TLSContext: Sendable {
  private let context: Mutex<Certified>

  /// Reads the files. Throws a sentence for the operator.
  public init(_ settings: TLSSettings) throws(SettingsProblem) {
    context = Mutex(try TLSContext.read(settings))
  }

  /// What is in force stays so when this throws.
  public func reload(_ settings: TLSSettings) throws(SettingsProblem) {
    let new = try TLSContext.read(settings)
    context.withLock { $0 = new }
  }

  /// When the first certificate of the chain expires, in seconds since 1970.
  public var expirySeconds: Int64 {
    context.withLock { $0.expirySeconds }
  }

  /// A handler for one new connection, to stand first in its pipeline.
  public func makeHandler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context.withLock { $0.context }) }

  private struct Certified {
    var context: NIOSSLContext
    var expirySeconds: Int64
  }

  private static func read(_ settings: TLSSettings) throws(SettingsProblem) -> Certified {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    do {
      chain = try NIOSSLCertificate.fromPEMFile(settings.certificate)
    } catch {
      throw problem("certificate", settings.certificate, "holds no certificates in PEM form", error)
    }
    guard !chain.isEmpty else {
      throw SettingsProblem(path: "tls.certificate", message: "\(settings.certificate): holds no certificate")
    }
    do {
      key = try NIOSSLPrivateKey(file: settings.key, format: .pem)
    } catch {
      throw problem("key", settings.key, "holds no private key in PEM form without a passphrase", error)
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    do {
      return Certified(
        context: try NIOSSLContext(configuration: configuration),
        expirySeconds: chain.map { Int64($0.notValidAfter) }.min() ?? 0)
    } catch {
      throw SettingsProblem(
        path: "tls", message: "\(settings.key) is not the key of \(settings.certificate), or cannot be used: \(error)")
    }
  }

  private static func problem(_ key: String, _ file: String, _ what: String, _ error: any Error) -> SettingsProblem {
    let reason = error is IOError ? "cannot be read: \(error)" : what
    return SettingsProblem(path: "tls.\(key)", message: "\(file): \(reason)")
  }
}
