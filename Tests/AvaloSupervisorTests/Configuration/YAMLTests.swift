import AvaloSystem
import Testing

@testable import AvaloSupervisor

@Suite struct YAMLTests {
  static let scalars: [(String, SettingsNode.Value)] = [
    ("~", .null), ("", .null), ("null", .null), ("true", .boolean(true)), ("False", .boolean(false)),
    ("yes", .string("yes")), ("on", .string("on")), ("12", .integer(12)), ("-3", .integer(-3)), ("0", .integer(0)),
    ("0660", .string("0660")), ("0x10", .string("0x10")), ("1.5", .number(1.5)), ("0.5", .number(0.5)),
    ("-1e3", .number(-1000)), ("1.2.3", .string("1.2.3")), ("10s", .string("10s")), ("12:30", .string("12:30")),
    ("127.0.0.1:80", .string("127.0.0.1:80")), ("99999999999999999999", .number(1e20)), ("\"5\"", .string("5")),
    ("'true'", .string("true")), (".inf", .string(".inf")), ("2024-01-01", .string("2024-01-01")),
  ]

  @Test(arguments: scalars.indices) func aScalarMeansWhatPeopleMean(index: Int) throws {
    let (text, value) = Self.scalars[index]
    #expect(try SettingsNode(yaml: "a: \(text)")["a"]?.value == value)
  }

  @Test func everyValueHasItsLine() throws {
    let node = try SettingsNode(yaml: "a: 1\nb:\n  - x\n  - c: 2\n    d: {e: 3}\n", firstLine: 101)
    #expect(node.line(at: "a") == 101)
    #expect(node.line(at: "b[0]") == 103)
    #expect(node.line(at: "b[1].c") == 104)
    #expect(node.line(at: "b[1].d.e") == 105)
  }

  @Test func aliasesAreResolvedAndBounded() throws {
    #expect(try SettingsNode(yaml: "a: &x {b: 1}\nc: *x")["c"]?["b"]?.value == .integer(1))
    // Ten aliases, ten levels deep.
    var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      bomb += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
    }
    #expect(throws: SettingsProblem.self) { try SettingsNode(yaml: bomb) }
    #expect(throws: SettingsProblem.self) { try SettingsNode(yaml: "a: *nowhere") }
  }

  @Test func anEmptyDocumentIsAnEmptySection() throws {
    for text in ["", "\n", "# only a comment\n", "---\n", "~"] {
      #expect(try SettingsNode(yaml: text).value == .section([]))
    }
  }
}
