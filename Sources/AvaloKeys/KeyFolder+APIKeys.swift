// The servers' keys of a folder, one by one.
extension KeyFolder {
  /// What a key may allow.
  public static var scopes: [String] { APIKeyList.allScopes }

  public func apiKeys() throws(KeyFolderError) -> [ListedAPIKey] { try APIKeyList(file: apiKeysPath).keys }

  /// Makes a key. It is in no file: whoever is to use it is given it now.
  /// - `owner`: whose events they are; the id when `nil`.
  public func addAPIKey(
    id: String, name: String?, owner: String?, scopes: [String], using generator: inout some RandomNumberGenerator
  ) throws(KeyFolderError) -> APIKey {
    var list = try APIKeyList(file: apiKeysPath)
    guard !list.keys.contains(where: { $0.id == id }) else {
      throw KeyFolderError(
        "There is a key \"\(id)\" already. To replace it, make another with --owner \(id), and revoke this one when it is "
          + "no longer used")
    }
    let key = APIKey(using: &generator)
    list.replace(ListedAPIKey(id: id, name: name ?? id, owner: owner ?? id, hash: key.hash, scopes: scopes))
    try PrivateFile.write(list.text, to: apiKeysPath)
    return key
  }

  /// Takes a key away, and with a development set-up's own the file that has it: the tools would go on using it.
  public func revokeAPIKey(id: String) throws(KeyFolderError) {
    var list = try APIKeyList(file: apiKeysPath)
    let hash = list.keys.first { $0.id == id }?.hash
    guard list.remove(id: id) else {
      let ids = list.keys.map(\.id).joined(separator: ", ")
      throw KeyFolderError("There is no key \"\(id)\"\(ids.isEmpty ? "" : "; there are: \(ids)")")
    }
    try PrivateFile.write(list.text, to: apiKeysPath)
    if PrivateFile.exists(developmentKeyPath), (try? developmentKey())?.hash == hash {
      try PrivateFile.remove(developmentKeyPath)
    }
  }
}
