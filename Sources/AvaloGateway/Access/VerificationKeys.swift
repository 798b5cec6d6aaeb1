import AvaloCore
import AvaloSystem
import JWTKit

/// The keys that user tokens are verified with, ready for use: one entry a key and algorithm.
public struct VerificationKeys: Sendable {
  struct Entry: Sendable {
    /// The `kid`; `nil` when the key has none.
    var id: String?
    var verifier: any JWTAlgorithm
  }
  private var entries: [TokenAlgorithm: [Entry]] = [:]
  private(set) var count = 0

  init() {}

  /// What to try for a token: the keys of its `kid`, else those that have none; without a `kid` all, up to a bound.
  func candidates(_ algorithm: TokenAlgorithm, id: String?) -> [Entry] {
    guard let all = entries[algorithm] else { return [] }
    guard let id else { return Array(all.prefix(GatewayLimits.keysTriedMax)) }
    let named = all.filter { $0.id == id }
    return Array((named.isEmpty ? all.filter { $0.id == nil } : named).prefix(GatewayLimits.keysTriedMax))
  }

  func accepts(_ algorithm: TokenAlgorithm) -> Bool { entries[algorithm] != nil }

  // MARK: Loading

  /// Reads every key the settings name. What is wrong goes to `problems`, by the setting that named it.
  static func load(_ settings: AuthenticationSettings, problems: inout [SettingsProblem]) async -> VerificationKeys {
    var keys = VerificationKeys()
    if let file = settings.secretFile {
      await keys.add("auth.secret_file", &problems) { () throws(KeyMaterial.Refusal) in
        [(nil, nil, try KeyMaterial(secret: try KeyFile.read(file)))]
      }
    }
    for (index, key) in settings.keys.enumerated() {
      await keys.add("auth.keys[\(index)].file", &problems) { () throws(KeyMaterial.Refusal) in
        [(key.keyID, key.algorithm, try KeyMaterial(pem: try KeyFile.read(key.file)))]
      }
    }
    if let file = settings.jwksFile {
      await keys.add("auth.jwks_file", &problems) { () throws(KeyMaterial.Refusal) in
        try VerificationKeys.keySet(try KeyFile.read(file))
      }
    }
    return keys
  }

  private typealias Read = (id: String?, algorithm: TokenAlgorithm?, key: KeyMaterial)

  private mutating func add(
    _ setting: String, _ problems: inout [SettingsProblem], _ read: () throws(KeyMaterial.Refusal) -> [Read]
  ) async {
    do throws(KeyMaterial.Refusal) {
      for (id, algorithm, key) in try read() {
        for algorithm in algorithm.map({ [$0] }) ?? key.algorithms {
          let verifier = try await key.verifier(for: algorithm)
          guard id == nil || !entries[algorithm, default: []].contains(where: { $0.id == id }) else {
            throw KeyMaterial.Refusal("there are two keys for \(algorithm.rawValue) with the kid \"\(id ?? "")\"")
          }
          entries[algorithm, default: []].append(Entry(id: id, verifier: verifier))
          count += 1
        }
      }
      guard count <= GatewayLimits.verificationKeysMax * TokenAlgorithm.allCases.count else {
        throw KeyMaterial.Refusal("there are over \(GatewayLimits.verificationKeysMax) keys")
      }
    } catch {
      problems.append(SettingsProblem(path: setting, message: error.message))
    }
  }

  /// What an issuer publishes: a JWK set without secrets. A key that cannot be used is passed over; one must be left.
  /// - `algorithms`: those that its tokens may be signed with; `nil`: all that its keys allow.
  static func published(
    _ text: [UInt8], algorithms wanted: [TokenAlgorithm]? = nil
  ) async throws(KeyMaterial.Refusal) -> VerificationKeys {
    var keys = VerificationKeys()
    for (id, algorithm, key) in try keySet(text, isPublished: true) {
      if case .secret = key { continue }
      for algorithm in algorithm.map({ [$0] }) ?? key.algorithms where wanted?.contains(algorithm) ?? true {
        do throws(KeyMaterial.Refusal) {
          keys.entries[algorithm, default: []].append(Entry(id: id, verifier: try await key.verifier(for: algorithm)))
          keys.count += 1
        } catch {
          // It says that it is for an algorithm that its type does not have.
          continue
        }
      }
    }
    guard keys.count > 0 else { throw KeyMaterial.Refusal("has no key that verifies signatures") }
    return keys
  }

  /// A JWK set (RFC 7517 §5).
  private static func keySet(_ bytes: [UInt8], isPublished: Bool = false) throws(KeyMaterial.Refusal) -> [Read] {
    let result = bytes.withUnsafeBytes { text -> Result<[Read], KeyMaterial.Refusal> in
      do throws(KeyMaterial.Refusal) {
        return .success(try keySet(text, isPublished: isPublished))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func keySet(
    _ text: UnsafeRawBufferPointer, isPublished: Bool
  ) throws(KeyMaterial.Refusal) -> [Read] {
    let set: JSONView
    do throws(JSONError) {
      set = try JSONView(validating: text)
    } catch {
      throw KeyMaterial.Refusal("is not JSON: \(error)")
    }
    guard let list = set["keys"], list.kind == .array else {
      throw KeyMaterial.Refusal("is not a JWK set: a JSON object with a list \"keys\"")
    }
    var read: [Read] = []
    for (index, jwk) in list.elements.enumerated() {
      do throws(KeyMaterial.Refusal) {
        guard let key = try KeyMaterial(jwk: jwk) else { continue }
        let algorithm: TokenAlgorithm?
        switch jwk["alg"]?.string {
        case nil: algorithm = nil
        case let name?:
          // A key for something else, such as encryption.
          guard let known = TokenAlgorithm(rawValue: name) else { continue }
          algorithm = known
        }
        read.append((jwk["kid"]?.string, algorithm, key))
      } catch {
        if isPublished { continue }
        throw KeyMaterial.Refusal("key \(index): \(error.message)")
      }
      guard read.count <= GatewayLimits.verificationKeysMax else {
        throw KeyMaterial.Refusal("there are over \(GatewayLimits.verificationKeysMax) keys")
      }
    }
    guard !read.isEmpty else { throw KeyMaterial.Refusal("has no key that verifies signatures") }
    return read
  }
}
