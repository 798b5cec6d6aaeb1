/// Which token somebody acts with, as far as it can be taken back.
public struct TokenName: Hashable, Sendable {
  public var user: String
  /// The token's `jti`; empty without one.
  public var tokenID: String
  /// Milliseconds since 1970; 0 when the token does not say, so that any "issued before" covers it.
  public var issuedAtMilliseconds: Int64

  public init(user: String, tokenID: String = "", issuedAtMilliseconds: Int64 = 0) {
    self.user = user
    self.tokenID = tokenID
    self.issuedAtMilliseconds = issuedAtMilliseconds
  }
}

/// Tokens that are taken back before they expire.
public struct Revocation: Hashable, Sendable {
  public enum Target: Hashable, Sendable {
    /// This user's tokens.
    case user(String)
    /// The token with this id (`jti`).
    case token(String)
    case everybody
  }
  public var target: Target
  /// Milliseconds since 1970: tokens issued earlier are covered. `.max` for a single token, whenever it was issued.
  public var issuedBeforeMilliseconds: Int64
  /// Milliseconds since 1970 when the last token that it covers has expired: it is forgotten then.
  public var untilMilliseconds: Int64

  public init(_ target: Target, issuedBeforeMilliseconds: Int64, untilMilliseconds: Int64) {
    self.target = target
    self.issuedBeforeMilliseconds = issuedBeforeMilliseconds
    self.untilMilliseconds = untilMilliseconds
  }

  /// Of one token.
  public static func token(_ id: String, untilMilliseconds: Int64) -> Revocation {
    Revocation(.token(id), issuedBeforeMilliseconds: .max, untilMilliseconds: untilMilliseconds)
  }

  /// Both of them in one, of the same target: covers what either covers.
  public func merged(with other: Revocation) -> Revocation {
    precondition(target == other.target, "\(target) and \(other.target) are not the same")
    return Revocation(
      target, issuedBeforeMilliseconds: max(issuedBeforeMilliseconds, other.issuedBeforeMilliseconds),
      untilMilliseconds: max(untilMilliseconds, other.untilMilliseconds))
  }
}

/// All revocations that count: one for each target. A value; it asks no clock and forgets only what it is told to.
public struct RevocationTable: Sendable, Equatable {
  private struct Entry: Equatable {
    var issuedBefore: Int64
    var until: Int64
  }
  private var entries: [Revocation.Target: Entry] = [:]

  public init() {}
  public init(_ revocations: some Sequence<Revocation>) {
    for revocation in revocations { add(revocation) }
  }

  public var count: Int { entries.count }
  public var isEmpty: Bool { entries.isEmpty }
  /// In no order.
  public var all: [Revocation] { entries.map { RevocationTable.revocation($0.key, $0.value) } }

  public subscript(target: Revocation.Target) -> Revocation? {
    entries[target].map { RevocationTable.revocation(target, $0) }
  }

  /// Adds one, merged with what there is for its target.
  public mutating func add(_ revocation: Revocation) {
    let merged = self[revocation.target].map { $0.merged(with: revocation) } ?? revocation
    entries[revocation.target] = Entry(
      issuedBefore: merged.issuedBeforeMilliseconds, until: merged.untilMilliseconds)
  }

  public mutating func remove(_ target: Revocation.Target) { entries[target] = nil }

  /// Whether the token was taken back.
  public func covers(_ token: TokenName) -> Bool {
    guard !entries.isEmpty else { return false }
    func reaches(_ target: Revocation.Target) -> Bool {
      entries[target].map { token.issuedAtMilliseconds < $0.issuedBefore } ?? false
    }
    return reaches(.everybody) || reaches(.user(token.user))
      || (!token.tokenID.isEmpty && reaches(.token(token.tokenID)))
  }

  /// Targets that nothing can come of any more at `now`, milliseconds since 1970; at most `limit`.
  public func outlived(at now: Int64, limit: Int) -> [Revocation.Target] {
    var found: [Revocation.Target] = []
    for (target, entry) in entries where entry.until <= now {
      if found.count == limit { break }
      found.append(target)
    }
    return found
  }

  private static func revocation(_ target: Revocation.Target, _ entry: Entry) -> Revocation {
    Revocation(target, issuedBeforeMilliseconds: entry.issuedBefore, untilMilliseconds: entry.until)
  }
}
