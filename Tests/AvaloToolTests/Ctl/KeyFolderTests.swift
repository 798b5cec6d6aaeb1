import AvaloClient
import AvaloCore
import AvaloKeys
import Glibc
import JWTKit
import Testing

@Suite struct KeyFolderTests {
  /// A folder of the test's own, gone afterwards.
  private func withFolder(_ body: (String) async throws -> Void) async throws {
    var name = Array("/tmp/avalo-keys-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    let folder = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer {
      for file in ["config/keys/jwt-hs256.secret", "config/api-keys.json", "config/dev-api-key"] {
        unlink("\(folder)/\(file)")
      }
      for inner in ["config/keys", "config", ""] { rmdir("\(folder)/\(inner)") }
    }
    try await body(folder + "/config")
  }

  private func mode(_ path: String) -> UInt32 {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }

  private func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    return String(decoding: buffer[..<fread(&buffer, 1, buffer.count, file)], as: UTF8.self)
  }

  @Test func makesWhatIsMissingOnceAndForItsOwnerOnly() async throws {
    try await withFolder { path in
      let folder = KeyFolder(path)
      var random = SystemRandomNumberGenerator()
      let made = try folder.prepare(forDevelopment: true, using: &random)
      #expect(made.secret)
      let key = try #require(made.apiKey)
      #expect(try folder.developmentKey().text == key.text)
      for file in [folder.secretPath, folder.apiKeysPath, folder.developmentKeyPath] { #expect(mode(file) == 0o600) }
      #expect(mode(path + "/keys") == 0o700)
      // The key itself is in no file but its own.
      #expect(!read(folder.apiKeysPath).contains(key.text))
      #expect(read(folder.apiKeysPath).contains(key.hash))

      let secret = read(folder.secretPath)
      let again = try folder.prepare(forDevelopment: true, using: &random)
      #expect(!again.secret && again.apiKey == nil)
      #expect(read(folder.secretPath) == secret)
    }
  }

  @Test func takesAwayADevelopmentKeysFileWithTheKey() async throws {
    try await withFolder { path in
      let folder = KeyFolder(path)
      var random = SystemRandomNumberGenerator()
      _ = try folder.prepare(forDevelopment: true, using: &random)
      _ = try folder.addAPIKey(id: "other", name: nil, owner: nil, scopes: ["publish"], using: &random)
      try folder.revokeAPIKey(id: "other")
      let key = try folder.developmentKey()
      try folder.revokeAPIKey(id: "dev")
      #expect(throws: KeyFolderError.self) { try folder.developmentKey() }
      #expect(mode(folder.developmentKeyPath) == 0)
      // The next set-up makes another.
      let made = try folder.prepare(forDevelopment: true, using: &random)
      #expect(made.apiKey != nil && made.apiKey?.text != key.text)
    }
  }

  @Test func keepsTheKeysThatAreThere() async throws {
    try await withFolder { path in
      let folder = KeyFolder(path)
      var random = SystemRandomNumberGenerator()
      let first = try #require(try folder.prepare(forDevelopment: false, using: &random).apiKey)
      #expect(try folder.prepare(forDevelopment: false, using: &random).apiKey == nil)
      let dev = try #require(try folder.prepare(forDevelopment: true, using: &random).apiKey)
      let list = try JSONText(validating: read(folder.apiKeysPath))
      list.read { view in
        let entries = Array(view.elements)
        #expect(entries.map { $0["id"]?.string } == ["default", "dev"])
        #expect(entries.map { $0["hash"]?.string } == [first.hash, dev.hash])
        #expect(entries[0]["scopes"]?.elements.compactMap(\.string) == ["publish", "broadcast"])
      }
      // A development key that was lost is replaced, not added.
      unlink(folder.developmentKeyPath)
      let next = try #require(try folder.prepare(forDevelopment: true, using: &random).apiKey)
      let hashes = try JSONText(validating: read(folder.apiKeysPath)).read { $0.elements.map { $0["hash"]?.string } }
      #expect(hashes == [first.hash, next.hash])
    }
  }

  @Test func saysWhatIsMissingAndWhatToDo() async throws {
    try await withFolder { path in
      let error = #expect(throws: KeyFolderError.self) { try KeyFolder(path).secret() }
      #expect(error?.description.contains("avaloctl init --config \(path)") == true)
      #expect(throws: KeyFolderError.self) { try KeyFolder(path).developmentKey() }
    }
  }

  @Test func leavesAListItCannotReadAlone() async throws {
    try await withFolder { path in
      let folder = KeyFolder(path)
      var random = SystemRandomNumberGenerator()
      _ = try folder.prepare(forDevelopment: false, using: &random)
      let file = try #require(fopen(folder.apiKeysPath, "w"))
      fputs("[{\"id\": ", file)
      fclose(file)
      let error = #expect(throws: KeyFolderError.self) { try folder.prepare(forDevelopment: true, using: &random) }
      #expect(error?.description.contains(folder.apiKeysPath) == true)
      #expect(read(folder.apiKeysPath) == "[{\"id\": ")
    }
  }

  private struct Claims: JWTPayload {
    var sub: SubjectClaim
    var exp: ExpirationClaim
    var jti: String
    var chats: [String]?
    func verify(using algorithm: some JWTAlgorithm) throws { try exp.verifyNotExpired() }
  }

  @Test func anotherLibraryVerifiesItsTokens() async throws {
    var random = SplitMix64(seed: 9)
    let secret = SigningSecret(using: &random)
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let token = UserToken(
      user: "alice@example.com", chats: ["c1", "c2"], issuedAt: Int64(time.tv_sec), lifetime: 60, id: "t1"
    ).signed(with: secret)
    let keys = JWTKeyCollection()
    await keys.add(hmac: HMACKey(from: secret.text), digestAlgorithm: .sha256)
    let claims = try await keys.verify(token, as: Claims.self)
    #expect(claims.sub.value == "alice@example.com" && claims.jti == "t1" && claims.chats == ["c1", "c2"])
    let others = JWTKeyCollection()
    await others.add(hmac: HMACKey(from: SigningSecret(using: &random).text), digestAlgorithm: .sha256)
    await #expect(throws: (any Error).self) { _ = try await others.verify(token, as: Claims.self) }
  }
}
