import AvaloCore
import AvaloSystem
import Crypto

/// What a server was let in with.
public struct APIKey: Sendable, Equatable {
  /// What a key allows.
  public struct Scopes: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let publish = Scopes(rawValue: 1)
    public static let broadcast = Scopes(rawValue: 2)
    public static let membership = Scopes(rawValue: 4)
    public static let connections = Scopes(rawValue: 8)
    public static let read = Scopes(rawValue: 16)
    /// To look with avalo-console; no function takes it.
    public static let console = Scopes(rawValue: 32)

    static let names: [(name: String, scope: Scopes)] = [
      ("publish", .publish), ("broadcast", .broadcast), ("membership", .membership), ("connections", .connections),
      ("read", .read), ("console", .console),
    ]
  }

  public var id: String
  /// For people.
  public var name: String
  /// Whose events they are, for idempotency: stays the same when a key is replaced.
  public var owner: String
  public var scopes: Scopes

  public init(id: String, name: String, owner: String, scopes: Scopes) {
    self.id = id
    self.name = name
    self.owner = owner
    self.scopes = scopes
  }
}

/// The servers' keys: `avk_` and a random secret. Only their SHA-256 is on disk:
///
///     [{"id": "backend", "name": "Backend", "owner": "backend", "hash": "9f86d0…", "scopes": ["publish", "broadcast"]}]
///
/// `hash` is the SHA-256 of the whole key in hexadecimal; no salt and no slow hash, for the key is random. `name` and
/// `owner` default to the id. A value that never changes; a reload makes a new one.
public struct APIKeys: Sendable {
  public static let prefix = "avk_"

  fileprivate struct Entry: Sendable {
    var hash: [UInt8]
    var key: APIKey
  }
  /// By the hash's first eight bytes: where to look says nothing about a secret that was never seen.
  private var entries: [UInt64: Entry] = [:]

  public init() {}
  public var count: Int { entries.count }
  /// By their ids.
  public var all: [APIKey] { entries.values.map(\.key).sorted { $0.id < $1.id } }

  /// The key's rights; throws when there is no such key.
  public func authenticate(_ text: UnsafeRawBufferPointer) throws(CallError) -> APIKey {
    let found = SHA256.hash(data: text).withUnsafeBytes { find($0) }
    guard let found else { throw CallError(.unauthenticated, "the API key is not known here") }
    return found
  }

  /// The key of that hash, given as 64 hexadecimal digits; `nil` when there is none.
  func find(hexadecimal hash: String) -> APIKey? {
    Entry.bytes(hexadecimal: hash)?.withUnsafeBytes { find($0) }
  }

  /// - `presented`: 32 bytes.
  private func find(_ presented: UnsafeRawBufferPointer) -> APIKey? {
    guard let entry = entries[presented.loadUnaligned(as: UInt64.self)] else { return nil }
    var difference: UInt8 = 0
    for (a, b) in zip(presented, entry.hash) { difference |= a ^ b }
    return difference == 0 ? entry.key : nil
  }

  // MARK: Loading

  static func load(_ file: String?, problems: inout [SettingsProblem]) -> APIKeys {
    guard let file else { return APIKeys() }
    do throws(KeyMaterial.Refusal) {
      let bytes = try KeyFile.read(file)
      let node: SettingsNode
      do throws(SettingsProblem) {
        node = try SettingsNode(json: bytes)
      } catch {
        throw KeyMaterial.Refusal("\(file): \(error)\(error.line.map { ", line \($0)" } ?? "")")
      }
      let (keys, wrong) = read(node)
      problems += wrong.map {
        SettingsProblem(
          path: "api_keys_file", message: "\(file)\($0.line.map { ":\($0)" } ?? ""): \($0)")
      }
      return keys
    } catch {
      problems.append(SettingsProblem(path: "api_keys_file", message: error.message))
      return APIKeys()
    }
  }

  static func read(_ node: SettingsNode) -> (keys: APIKeys, problems: [SettingsProblem]) {
    let root = SettingsNode(.section([SettingsNode.Entry(key: "keys", line: node.line, node: node)]), line: node.line)
    let (entries, problems) = SettingsReader.read(root) { reader in
      let entries = reader.sections("keys") { Entry(&$0) }
      if entries.count > GatewayLimits.apiKeysMax {
        reader.problem("keys", "there are over \(GatewayLimits.apiKeysMax) keys")
      }
      for (index, entry) in entries.enumerated() {
        guard let entry,
          let other = entries[..<index].first(where: { $0?.key.id == entry.key.id || $0?.hash == entry.hash })
        else { continue }
        let what = other?.key.id == entry.key.id ? "id" : "hash"
        reader.problem("keys[\(index)].\(what)", "the same \(what) is there twice")
      }
      return entries
    }
    var keys = APIKeys()
    for case let entry? in entries {
      keys.entries[entry.hash.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }] = entry
    }
    return (keys, problems)
  }
}

extension APIKeys.Entry {
  init?(_ reader: inout SettingsReader) {
    let id = reader.string("id")
    let hash: [UInt8] = reader.value("hash", "the key's SHA-256: 64 hexadecimal digits", nil, empty: []) {
      guard case .string(let text) = $0.value else { return nil }
      return APIKeys.Entry.bytes(hexadecimal: text)
    }
    let scopes = reader.list("scopes", "one of " + APIKey.Scopes.names.map(\.name).joined(separator: ", ")) { node in
      guard case .string(let name) = node.value else { return nil as APIKey.Scopes? }
      return APIKey.Scopes.names.first { $0.name == name }?.scope
    }
    let name = reader.string("name", default: id)
    let owner = reader.string("owner", default: id)
    if !owner.isEmpty, !Topic.isWellFormedID(owner.utf8) {
      reader.problem("owner", "an owner is 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
    if scopes.isEmpty { reader.problem("scopes", "is empty: a key without scopes allows nothing") }
    guard hash.count == 32 else { return nil }
    self.init(hash: hash, key: APIKey(id: id, name: name, owner: owner, scopes: APIKey.Scopes(scopes)))
  }

  fileprivate static func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == 64, digits.allSatisfy({ $0 != nil }) else { return nil }
    return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0]! << 4 | digits[$0 + 1]!) }
  }
}
