import ArgumentParser
import AvaloClient
import AvaloKeys

struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Makes, shows and revokes the API keys of backends.",
    discussion: """
      Only their hashes are kept, in the configuration's api-keys.json. What is changed there comes into force with the next
      reload. To replace a key: make another for the same --owner, give it to the backend, then revoke the old one.
      """,
    subcommands: [ListKeys.self, NewKey.self, RevokeKey.self], defaultSubcommand: ListKeys.self)
}

private let comesIntoForce = "it comes into force with: avaloctl reload"

struct ListKeys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "Shows the keys there are.")

  @OptionGroup var output: OutputOption
  @OptionGroup var config: ConfigOption

  func run() async throws {
    try await reportingErrors {
      let keys = try config.keys.apiKeys()
      if output.json { return Output.line(ListKeys.json(keys).description) }
      guard !keys.isEmpty else {
        return Output.line("no API keys in \(config.keys.apiKeysPath); make one: avaloctl keys new ID")
      }
      Output.table(
        [["ID", "OWNER", "SCOPES", "HASH", "NAME"]]
          + keys.map { [$0.id, $0.owner, $0.scopes.joined(separator: ","), "\($0.hash.prefix(8))…", $0.name] })
    }
  }
}

extension ListKeys {
  static func json(_ keys: [ListedAPIKey]) -> JSONText {
    JSONText.of {
      $0.key("keys")
      $0.array {
        for key in keys {
          $0.object {
            $0.member("id", key.id)
            $0.member("owner", key.owner)
            $0.member("name", key.name)
            $0.member("hash", key.hash)
            $0.key("scopes")
            $0.array { for scope in key.scopes { $0.string(scope) } }
          }
        }
      }
    }
  }
}

struct NewKey: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Makes a key and prints it; it is not shown again.")

  @Argument(help: "Its id: a word of your own, such as backend-2.") var id: String
  @Option(
    name: .customLong("scope"),
    help:
      "What it allows: publish, broadcast, membership, connections, read or console; may be repeated (default: publish, broadcast)."
  )
  var scopes: [String] = []
  @Option(help: "Whose events they are (default: the id). Keep it when a key is replaced.") var owner: String?
  @Option(help: "A name for people (default: the id).") var name: String?
  @OptionGroup var output: OutputOption
  @OptionGroup var config: ConfigOption

  func validate() throws {
    for (what, text) in [("id", id), ("owner", owner ?? id)] where !NewKey.isWord(text) {
      throw ValidationError("\"\(text)\" is no \(what): 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
    for scope in scopes where !KeyFolder.scopes.contains(scope) {
      throw ValidationError("\"\(scope)\" is no scope; there are: \(KeyFolder.scopes.joined(separator: ", ")).")
    }
  }

  private static func isWord(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || "_.@-".utf8.contains($0)
      }
  }

  func run() async throws {
    try await reportingErrors {
      var generator = SystemRandomNumberGenerator()
      let key = try config.keys.addAPIKey(
        id: id, name: name, owner: owner, scopes: scopes.isEmpty ? ["publish", "broadcast"] : scopes, using: &generator)
      guard !output.json else {
        return Output.line(
          JSONText.of {
            $0.member("id", id)
            $0.member("key", key.text)
          }.description)
      }
      // The key alone on standard output, so that a script can keep it.
      Output.line(key.text)
      Output.complaint("this is the key; it is not shown again. In a running server \(comesIntoForce)")
    }
  }
}

struct RevokeKey: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Takes a key away.")

  @Argument(help: "Its id.") var id: String
  @OptionGroup var output: OutputOption
  @OptionGroup var config: ConfigOption

  func run() async throws {
    try await reportingErrors {
      try config.keys.revokeAPIKey(id: id)
      if output.json { return Output.line(JSONText.of { $0.member("revoked", id) }.description) }
      Output.line("revoked \(id); in a running server \(comesIntoForce)")
    }
  }
}
