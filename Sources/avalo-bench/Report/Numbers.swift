/// Numbers for people, without Foundation.
enum Numbers {
  /// Two digits behind the point for what is below 10, one below 100, unless said otherwise; thousands apart: `12 345`.
  static func text(_ value: Double, decimals: Int? = nil) -> String {
    let decimals = decimals ?? (abs(value) < 10 ? 2 : abs(value) < 100 ? 1 : 0)
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    guard value.isFinite, abs(value) * scale < 9e18 else { return "\(value)" }
    let scaled = Int64((abs(value) * scale).rounded())
    let whole = grouped(scaled / Int64(scale))
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard decimals > 0 else { return sign + whole }
    var fraction = String(scaled % Int64(scale))
    fraction = String(repeating: "0", count: decimals - fraction.count) + fraction
    return "\(sign)\(whole).\(fraction)"
  }

  /// Microseconds as milliseconds.
  static func milliseconds(_ microseconds: UInt64) -> String {
    let value = Double(microseconds) / 1_000
    return text(value, decimals: value < 1 ? 3 : value < 100 ? 2 : 0)
  }

  static func bytes(_ value: Double) -> String {
    switch abs(value) {
    case ..<10_000: text(value, decimals: 0) + " B"
    case ..<Double(10 << 20): text(value / 1_024) + " KiB"
    default: text(value / 1_048_576) + " MiB"
    }
  }

  private static func grouped(_ value: Int64) -> String {
    let digits = Array(String(value))
    var out = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { out.append(" ") }
      out.append(digit)
    }
    return out
  }
}
