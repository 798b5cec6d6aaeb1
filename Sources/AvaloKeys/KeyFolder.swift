import AvaloCore
import Glibc

/// The secrets in a configuration folder: what tokens are signed with, and which servers may publish.
///
///     keys/jwt-hs256.secret   the signing secret, 0600
///     api-keys.json           the API keys' hashes and scopes, 0600
///     dev-api-key             a development set-up's own API key, readable, 0600
public struct KeyFolder: Sendable {
  public let directory: String

  public init(_ directory: String) { self.directory = directory }

  public var secretPath: String { directory + "/keys/jwt-hs256.secret" }
  public var apiKeysPath: String { directory + "/api-keys.json" }
  public var developmentKeyPath: String { directory + "/dev-api-key" }

  /// What ``prepare(forDevelopment:using:)`` had to make; what was there is left alone.
  public struct Made: Sendable {
    public var secret = false
    /// To be shown once: only its hash is kept, unless it is a development key.
    public var apiKey: APIKey?
  }

  /// Makes what is missing. Doing it again changes nothing.
  public func prepare(
    forDevelopment: Bool, using generator: inout some RandomNumberGenerator
  ) throws(KeyFolderError) -> Made {
    var made = Made()
    try PrivateFile.makeFolder(directory, mode: 0o755)
    try PrivateFile.makeFolder(directory + "/keys", mode: 0o700)
    if PrivateFile.exists(secretPath) {
      _ = try secret()
    } else {
      try PrivateFile.write(SigningSecret(using: &generator).text + "\n", to: secretPath)
      made.secret = true
    }
    var list = try APIKeyList(file: apiKeysPath)
    if forDevelopment {
      if PrivateFile.exists(developmentKeyPath), list.hashes.contains(try developmentKey().hash) { return made }
    } else if !list.hashes.isEmpty {
      return made
    }
    let key = APIKey(using: &generator)
    if forDevelopment {
      list.replace(
        ListedAPIKey(id: "dev", name: "Development", owner: "dev", hash: key.hash, scopes: APIKeyList.allScopes))
      try PrivateFile.write(key.text + "\n", to: developmentKeyPath)
    } else {
      list.replace(
        ListedAPIKey(
          id: "default", name: "Default", owner: "default", hash: key.hash, scopes: ["publish", "broadcast"]))
    }
    // This last: a key that is listed is one that its owner has.
    try PrivateFile.write(list.text, to: apiKeysPath)
    made.apiKey = key
    return made
  }

  public func secret() throws(KeyFolderError) -> SigningSecret {
    guard PrivateFile.exists(secretPath) else {
      throw KeyFolderError("There is no signing secret at \(secretPath). Make one: avaloctl init --config \(directory)")
    }
    guard let secret = SigningSecret(text: try PrivateFile.read(secretPath)) else {
      throw KeyFolderError(
        "The signing secret in \(secretPath) is shorter than \(SigningSecret.bytesMin) bytes. Put a longer one there, "
          + "or remove the file and run: avaloctl init --config \(directory)")
    }
    return secret
  }

  public func developmentKey() throws(KeyFolderError) -> APIKey {
    guard PrivateFile.exists(developmentKeyPath) else {
      throw KeyFolderError(
        "There is no development API key at \(developmentKeyPath). Make one: avaloctl init --dev --config \(directory)")
    }
    return try KeyFolder.apiKey(in: developmentKeyPath)
  }

  /// Reads a file that holds one API key.
  public static func apiKey(in path: String) throws(KeyFolderError) -> APIKey {
    guard let key = APIKey(text: try PrivateFile.read(path)) else {
      throw KeyFolderError("\(path) holds no API key; one begins with \(APIKey.prefix)")
    }
    return key
  }
}

/// Why a configuration folder's secrets could not be read or made, and what to do.
public struct KeyFolderError: Error, Sendable, Equatable, CustomStringConvertible {
  public var description: String
  init(_ description: String) { self.description = description }
}
