import AvaloCore
import AvaloSystem
import Crypto

/// Asks a gateway, which knows the keys, whose a key is. Only the key's hash goes there; the gateway compares it in
/// constant time.
struct KeyDesk: Sendable {
  enum Answer: Equatable {
    case known(KeyHolder)
    /// There is no such key, or it lacks the scope.
    case refused
    /// No gateway answers; the sentence says so.
    case unavailable(String)
  }

  static let scope = "console"

  private let control: ControlSocket
  init(_ control: ControlSocket) { self.control = control }

  /// SHA-256 in hexadecimal, as `api-keys.json` has it.
  static func hash(of key: String) -> String {
    SHA256.hash(data: Array(key.utf8)).map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined()
  }

  func holder(ofHash hash: String) async -> Answer {
    do throws(ControlSocket.Trouble) {
      let body = try await control.get("/workers/gateway/api-keys", [("hash", hash)])
      return KeyDesk.read(body, hash) ?? .unavailable("The gateway's answer makes no sense.")
    } catch {
      return .unavailable("No gateway is there to ask about the key. \(error.message)")
    }
  }

  /// `{"keys": [{"id", "name", "scopes"}]}`, of none or one; `nil` when it is something else.
  static func read(_ body: [UInt8], _ hash: String) -> Answer? {
    body.withUnsafeBytes { bytes in
      guard let keys = try? JSONView(validating: bytes)["keys"], keys.kind == .array, keys.count <= 1 else {
        return nil
      }
      guard let key = keys.elements.first(where: { _ in true }) else { return .refused }
      guard let id = key["id"]?.string, let scopes = key["scopes"] else { return nil }
      guard scopes.elements.contains(where: { $0.matches("console") }) else { return .refused }
      return .known(KeyHolder(hash: hash, id: id, name: key["name"]?.string ?? id))
    }
  }
}
