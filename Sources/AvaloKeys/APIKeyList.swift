import AvaloCore

/// `api-keys.json`: a list of objects of which only `id` and `hash` are looked at here; the rest is kept as it is.
struct APIKeyList {
  static let allScopes = ["publish", "broadcast", "membership", "connections", "read"]

  private var entries: [(id: String, json: [UInt8])] = []
  private(set) var hashes: Set<String> = []

  /// Empty when there is no such file.
  init(file: String) throws(KeyFolderError) {
    guard PrivateFile.exists(file) else { return }
    let bytes = Array(try PrivateFile.read(file).utf8)
    do {
      try bytes.withUnsafeBytes { bytes in
        let list = try JSONView(validating: bytes)
        guard list.kind == .array else { throw JSONError(offset: 0, message: "expected a list of keys") }
        for entry in list.elements {
          entries.append((entry["id"]?.string ?? "", Array(entry.raw)))
          if let hash = entry["hash"]?.string { hashes.insert(hash) }
        }
      }
    } catch {
      throw KeyFolderError("\(file) is not a list of API keys (\(error)). Mend it, or move it away and try again")
    }
  }

  mutating func replace(id: String, name: String, _ key: APIKey, scopes: [String]) {
    entries.removeAll { $0.id == id }
    var json = JSONWriter()
    json.object {
      $0.member("id", id)
      $0.member("name", name)
      $0.member("owner", id)
      $0.member("hash", key.hash)
      $0.key("scopes")
      $0.array { for scope in scopes { $0.string(scope) } }
    }
    entries.append((id, json.bytes))
    hashes.insert(key.hash)
  }

  /// One key a line.
  var text: String {
    "[\n" + entries.map { "  " + String(decoding: $0.json, as: UTF8.self) }.joined(separator: ",\n") + "\n]\n"
  }
}
