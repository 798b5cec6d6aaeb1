import AvaloCore
import AvaloSystem
import Glibc
import JWTKit
import Testing

@testable import AvaloGateway

/// A folder of a test's own, removed with it.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/avalo-gateway-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }
  deinit {
    for name in names() { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  @discardableResult func write(_ name: String, _ text: String, mode: mode_t = 0o600) -> String {
    write(name, Array(text.utf8), mode: mode)
  }

  @discardableResult func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o600) -> String {
    let file = "\(path)/\(name)"
    unlink(file)
    let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL, mode)
    precondition(descriptor >= 0 && Glibc.write(descriptor, bytes, bytes.count) == bytes.count, "cannot write \(file)")
    fchmod(descriptor, mode)
    close(descriptor)
    return file
  }

  func names() -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}

/// The settings a text of JSON makes; its problems fail the test.
func gatewaySettings(_ json: String, folder: String? = nil) throws -> GatewaySettings {
  let (settings, problems) = GatewaySettings.read(try SettingsNode(json: Array(json.utf8)), folder: folder)
  #expect(problems.isEmpty)
  return settings
}

/// The time all these tests take place, and an hour later, in ms.
let testNow: Int64 = 1_700_000_000_000
let testSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/// An access with the test's secret, and what `settings` adds; the engine is on for everybody, unless they say otherwise.
func makeAccess(_ settings: String = "", folder: TemporaryFolder) async throws -> Access {
  folder.write("secret", testSecret + "\n")
  var read = try gatewaySettings(
    #"{"auth":{"secret_file":"secret"}\#(settings.isEmpty ? "" : ",\(settings)")}"#, folder: folder.path)
  if !settings.contains("\"flags\"") { read.flags.engine.rollout = 10_000 }
  let (access, problems) = await Access.load(read, stateDirectory: folder.path, revocations: .current())
  #expect(problems.map(\.description) == [])
  return try #require(access)
}

/// A token with exactly that header and those claims.
func makeToken(_ header: String, _ claims: String, _ algorithm: any JWTAlgorithm) throws -> String {
  let signed = Base64URL.encode(header.utf8) + "." + Base64URL.encode(claims.utf8)
  return signed + "." + Base64URL.encode(try algorithm.sign(Array(signed.utf8)))
}

/// A good token of the test's secret.
func userToken(_ user: String, chats: [String] = [], expires: Int64 = testNow / 1000 + 3600) async throws -> String {
  let list = chats.map { "\"\($0)\"" }.joined(separator: ",")
  let claims =
    #"{"sub":"\#(user)","iat":\#(testNow / 1000 - 10),"exp":\#(expires),"jti":"t-\#(user)","chats":[\#(list)]}"#
  return try makeToken(#"{"alg":"HS256"}"#, claims, try await hmac(testSecret, .sha256))
}

func hmac(_ secret: String, _ digest: DigestAlgorithm) async throws -> any JWTAlgorithm {
  try await JWTKeyCollection().add(hmac: HMACKey(from: secret), digestAlgorithm: digest).getKey()
}

extension Revocations {
  /// Knows of none, and that there are no others.
  static func current() -> Revocations {
    let revocations = Revocations(clock: .system)
    revocations.stayCurrent(until: MonotonicInstant(nanoseconds: .max))
    return revocations
  }
}
