import AvaloCore
import AvaloKeys
import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct APIKeysTests {
  private let made: AvaloKeys.APIKey

  init() {
    var random = SystemRandomNumberGenerator()
    made = AvaloKeys.APIKey(using: &random)
  }

  @Test func knowsAKeyByItsHash() throws {
    let keys = try load(
      #"[{"id":"k","name":"Backend","owner":"o","hash":"\#(made.hash)","scopes":["publish","read"]}]"#)
    let key = try authenticate(keys, made.text)
    #expect(key == AvaloGateway.APIKey(id: "k", name: "Backend", owner: "o", scopes: [.publish, .read]))
    #expect(!key.scopes.contains(.broadcast))
  }

  @Test func findsAKeyByItsHashInHexadecimal() throws {
    let keys = try load(#"[{"id":"k","hash":"\#(made.hash)","scopes":["console"]}]"#)
    #expect(keys.find(hexadecimal: made.hash)?.scopes == .console)
    #expect(keys.find(hexadecimal: made.hash.uppercased())?.id == "k")
    let other = made.hash.hasSuffix("0") ? "1" : "0"
    for text in ["", "k", made.text, String(made.hash.dropLast()), made.hash.dropLast() + other, made.hash + "00"] {
      #expect(keys.find(hexadecimal: text) == nil, "\(text)")
    }
  }

  @Test func refusesEveryOtherText() throws {
    let keys = try load(#"[{"id":"k","hash":"\#(made.hash)","scopes":["publish"]}]"#)
    for text in [
      "avk_", "avk_x", String(made.text.dropLast()), made.text + "A", made.text.lowercased() + "-", made.hash,
    ] {
      #expect(throws: CallError(.unauthenticated, "the API key is not known here")) { try authenticate(keys, text) }
    }
    #expect(throws: CallError.self) { try authenticate(APIKeys(), made.text) }
  }

  @Test func namesAndOwnersDefaultToTheID() throws {
    let keys = try load(#"[{"id":"k","hash":"\#(made.hash.uppercased())","scopes":["broadcast"]}]"#)
    #expect(
      try authenticate(keys, made.text) == AvaloGateway.APIKey(id: "k", name: "k", owner: "k", scopes: .broadcast))
  }

  @Test func tellsEverythingThatIsWrong() throws {
    let (_, problems) = APIKeys.read(
      try SettingsNode(
        json: Array(
          #"""
          [{"id": "a", "hash": "12", "scopes": ["publish", "everything"]},
           {"hash": "\#(made.hash)", "scopes": []},
           {"id": "c", "hash": "\#(made.hash)", "scopes": ["read"], "secret": "x"}]
          """#.utf8)))
    #expect(
      problems.map { "\($0.line ?? 0) \($0)" } == [
        "1 keys[0].hash: expected the key's SHA-256: 64 hexadecimal digits, not \"12\"",
        "1 keys[0].scopes[1]: expected one of publish, broadcast, membership, connections, read, console, not \"everything\"",
        "2 keys[1].id: is missing; expected text",
        "2 keys[1].scopes: is empty: a key without scopes allows nothing",
        "3 keys[2].secret: unknown key",
        "1 keys[2].hash: the same hash is there twice",
      ])
  }

  @Test func readsTheFileOrSaysWhyNot() async throws {
    let folder = try TemporaryFolder()
    var problems: [SettingsProblem] = []
    let file = folder.write("keys.json", #"[{"id":"k","hash":"\#(made.hash)","scopes":["publish"]}]"#)
    #expect(APIKeys.load(file, problems: &problems).count == 1 && problems.isEmpty)
    #expect(APIKeys.load(nil, problems: &problems).count == 0 && problems.isEmpty)
    _ = APIKeys.load("\(folder.path)/none", problems: &problems)
    folder.write("keys.json", "[\n{]")
    _ = APIKeys.load(file, problems: &problems)
    #expect(problems.count == 2)
    #expect(problems[0].description == "api_keys_file: \(folder.path)/none: No such file or directory")
    #expect(problems[1].description.contains("line 2"))
  }

  private func load(_ json: String) throws -> APIKeys {
    let (keys, problems) = APIKeys.read(try SettingsNode(json: Array(json.utf8)))
    #expect(problems.map(\.description) == [])
    return keys
  }

  private func authenticate(_ keys: APIKeys, _ text: String) throws -> AvaloGateway.APIKey {
    try Array(text.utf8).withUnsafeBytes { try keys.authenticate($0) }
  }
}
