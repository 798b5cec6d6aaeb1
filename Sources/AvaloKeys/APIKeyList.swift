import AvaloCore

/// `api-keys.json`: a list of objects of which only what is named here is looked at; the rest is kept as it is.
struct APIKeyList {
  static let allScopes = ["publish", "broadcast", "membership", "connections", "read", "console"]

  private(set) var keys: [ListedAPIKey] = []
  private var texts: [[UInt8]] = []

  var hashes: Set<String> { Set(keys.map(\.hash)) }

  /// Empty when there is no such file.
  init(file: String) throws(KeyFolderError) {
    guard PrivateFile.exists(file) else { return }
    let bytes = Array(try PrivateFile.read(file).utf8)
    do {
      try bytes.withUnsafeBytes { bytes in
        let list = try JSONView(validating: bytes)
        guard list.kind == .array else { throw JSONError(offset: 0, message: "expected a list of keys") }
        for entry in list.elements {
          keys.append(ListedAPIKey(entry))
          texts.append(Array(entry.raw))
        }
      }
    } catch {
      throw KeyFolderError("\(file) is not a list of API keys (\(error)). Mend it, or move it away and try again")
    }
  }

  /// Adds a key, in the place of one with its id.
  mutating func replace(_ listed: ListedAPIKey) {
    remove(id: listed.id)
    var json = JSONWriter()
    json.object {
      $0.member("id", listed.id)
      $0.member("name", listed.name)
      $0.member("owner", listed.owner)
      $0.member("hash", listed.hash)
      $0.key("scopes")
      $0.array { for scope in listed.scopes { $0.string(scope) } }
    }
    keys.append(listed)
    texts.append(json.bytes)
  }

  /// Answers whether there was one.
  @discardableResult mutating func remove(id: String) -> Bool {
    guard let index = keys.firstIndex(where: { $0.id == id }) else { return false }
    keys.remove(at: index)
    texts.remove(at: index)
    return true
  }

  /// One key a line.
  var text: String {
    texts.isEmpty
      ? "[]\n" : "[\n" + texts.map { "  " + String(decoding: $0, as: UTF8.self) }.joined(separator: ",\n") + "\n]\n"
  }
}

/// A key as its list has it: everything but the key.
public struct ListedAPIKey: Sendable, Equatable {
  public var id: String
  /// For people.
  public var name: String
  /// Whose events they are: keep it when a key is replaced, so that what is published again is known to be the same.
  public var owner: String
  /// SHA-256 of the key, in hexadecimal.
  public var hash: String
  public var scopes: [String]

  public init(id: String, name: String, owner: String, hash: String, scopes: [String]) {
    self.id = id
    self.name = name
    self.owner = owner
    self.hash = hash
    self.scopes = scopes
  }

  init(_ view: JSONView) {
    id = view["id"]?.string ?? ""
    name = view["name"]?.string ?? id
    owner = view["owner"]?.string ?? id
    hash = view["hash"]?.string ?? ""
    scopes = view["scopes"].map { $0.elements.compactMap(\.string) } ?? []
  }
}
