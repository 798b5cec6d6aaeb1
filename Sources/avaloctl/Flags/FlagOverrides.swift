/// The feature flags' shares as `avaloctl flags set` keeps them: a file of its own in the configuration's `conf.d`, which
/// goes over avalo.yaml and survives restarts, upgrades and whoever edits the rest.
struct FlagOverrides: Equatable {
  static let fileName = "50-flags"

  /// Percent as text, by the flag's name.
  private(set) var rollouts: [String: String] = [:]

  private static let head = """
    # Written by `avaloctl flags set`; goes over what avalo.yaml says. `avaloctl flags unset NAME` takes a line away.
    workers:
      gateway:
        settings:
          flags:

    """

  init() {}

  /// Reads what was written here. `nil` when somebody else wrote something else.
  init?(text: String) {
    guard text.hasPrefix(FlagOverrides.head) else { return nil }
    for line in text.dropFirst(FlagOverrides.head.count).split(separator: "\n") {
      guard let match = line.wholeMatch(of: #/        ([a-z0-9_]+): \{rollout: ([0-9.]+)\}/#) else { return nil }
      rollouts[String(match.1)] = String(match.2)
    }
  }

  subscript(flag: String) -> String? {
    get { rollouts[flag] }
    set { rollouts[flag] = newValue }
  }

  /// `nil` when there is nothing to say.
  var text: String? {
    guard !rollouts.isEmpty else { return nil }
    return FlagOverrides.head
      + rollouts.sorted { $0.key < $1.key }.map { "        \($0.key): {rollout: \($0.value)}\n" }.joined()
  }

  /// `on`, `off`, `25`, `25%`, `12.5%` as percent with at most two digits behind the point; `nil` when it is none.
  static func percent(_ value: String) -> String? {
    switch value.lowercased() {
    case "on": return "100"
    case "off": return "0"
    default: break
    }
    var digits = value[...]
    if digits.hasSuffix("%") { digits.removeLast() }
    guard digits.wholeMatch(of: /[0-9]{1,3}(\.[0-9]{1,2})?/) != nil, let number = Double(digits), number <= 100 else {
      return nil
    }
    return number == number.rounded() ? "\(Int(number))" : "\(number)"
  }
}
