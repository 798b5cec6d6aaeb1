/// Writes Prometheus' text exposition format 0.0.4.
public struct PrometheusText: Sendable {
  /// What an HTTP answer says about the page.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  public private(set) var bytes: [UInt8] = []
  public init() {}

  mutating func head(name: String, help: String, kind: MetricKind) {
    bytes.append(contentsOf: "# HELP \(name) \(PrometheusText.escaped(help, quote: false))\n".utf8)
    bytes.append(contentsOf: "# TYPE \(name) \(kind.rawValue)\n".utf8)
  }
  mutating func sample(_ name: String, _ labels: String, _ value: Int) { line(name, labels, String(value)) }
  mutating func sample(_ name: String, _ labels: String, _ value: Double) {
    line(name, labels, PrometheusText.number(value))
  }
  private mutating func line(_ name: String, _ labels: String, _ value: String) {
    bytes.append(contentsOf: name.utf8)
    if !labels.isEmpty {
      bytes.append(UInt8(ascii: "{"))
      bytes.append(contentsOf: labels.utf8)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(UInt8(ascii: " "))
    bytes.append(contentsOf: value.utf8)
    bytes.append(UInt8(ascii: "\n"))
  }

  /// `key="value",…`; empty without keys.
  public static func labels(_ keys: [String], _ values: [String]) -> String {
    zip(keys, values).map { "\($0)=\"\(escaped($1, quote: true))\"" }.joined(separator: ",")
  }
  static func labels(_ labels: String, le: String) -> String { labels + (labels.isEmpty ? "" : ",") + "le=\"\(le)\"" }

  /// Whole numbers without a fraction, everything else in the fewest digits that give it back.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if let whole = Int(exactly: value) { return String(whole) }
    return "\(value)"
  }

  static func escaped(_ text: String, quote: Bool) -> String {
    guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || (quote && $0 == 0x22) }) else { return text }
    var out: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 0x5C: out += [0x5C, 0x5C]
      case 0x0A: out += [0x5C, UInt8(ascii: "n")]
      case 0x22 where quote: out += [0x5C, 0x22]
      default: out.append(byte)
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  public static func isName(_ name: String) -> Bool { isWord(name, colons: true) }
  public static func isLabelKey(_ key: String) -> Bool { isWord(key, colons: false) && !key.hasPrefix("__") }

  private static func isWord(_ word: String, colons: Bool) -> Bool {
    guard let first = word.utf8.first, !isDigit(first) else { return false }
    return word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
      case UInt8(ascii: ":"): colons
      default: isDigit(byte)
      }
    }
  }
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// A name that another library uses, made fit: `http.requests` becomes `http_requests`.
  static func name(from label: String) -> String {
    let fit = String(
      decoding: label.utf8.map {
        isWord(String(decoding: [UInt8(ascii: "a"), $0], as: UTF8.self), colons: false) ? $0 : 0x5F
      },
      as: UTF8.self)
    return fit.utf8.first.map { isDigit($0) } ?? true ? "_" + fit : fit
  }
}
