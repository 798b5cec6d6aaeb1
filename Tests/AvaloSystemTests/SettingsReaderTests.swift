import AvaloSystem
import Testing

@Suite struct SettingsReaderTests {
  private func read<R>(_ json: String, _ body: (inout SettingsReader) -> R) throws -> (result: R, problems: [String]) {
    let (result, problems) = SettingsReader.read(try SettingsNode(json: Array(json.utf8)), folder: "/etc/avalo", body)
    return (result, problems.map { "\($0.line ?? 0) \($0)" })
  }

  @Test func readsEveryTypeFromItsUsualForm() throws {
    let json = """
      {"name": "x", "count": 3, "ratio": 0.5, "whole": 2, "on": true, "every": "1h30m", "size": "64KiB", "raw": 17,
       "names": ["a", "b"], "file": "keys.json", "abs": "/x", "mode": "disk"}
      """
    let (_, problems) = try read(json) { reader in
      #expect(reader.string("name") == "x")
      #expect(reader.integer("count", in: 1...5) == 3)
      #expect(reader.number("ratio", in: 0...1) == 0.5)
      #expect(reader.number("whole", in: 0...5) == 2)
      #expect(reader.boolean("on") == true)
      #expect(reader.duration("every", in: .zero ... .seconds(86400)) == .seconds(5400))
      #expect(reader.bytes("size", in: 0...(1 << 20)) == 65536)
      #expect(reader.bytes("raw", in: 0...(1 << 20)) == 17)
      #expect(reader.strings("names") == ["a", "b"])
      #expect(reader.path("file") == "/etc/avalo/keys.json")
      #expect(reader.path("abs") == "/x")
      #expect(reader.choice("mode", of: ["os": 1, "disk": 2], default: 1) == 2)
      #expect(reader.optionalString("none") == nil)
      #expect(reader.optionalPath("none2") == nil)
    }
    #expect(problems == [])
  }

  @Test func answersDefaultsForWhatIsAbsentOrNull() throws {
    let (_, problems) = try read(#"{"null": null}"#) { reader in
      #expect(reader.string("a", default: "d") == "d")
      #expect(reader.integer("null", in: 1...5, default: 4) == 4)
      #expect(reader.strings("c", default: ["z"]) == ["z"])
      #expect(reader.section("d") { $0.boolean("e", default: true) })
      #expect(reader.optionalSection("f") { _ in 1 } == nil)
      #expect(reader.sections("g") { _ in 1 } == [])
    }
    #expect(problems == [])
  }

  @Test func tellsEverythingWrongAtOnceWithItsPathAndLine() throws {
    let json = """
      {
        "port": 70000,
        "ping_intervall": "10s",
        "tls": {"certificate": 5, "strict": "yes"},
        "sockets": [
          {"name": "a"},
          {"nmae": "b"}
        ],
        "every": "10",
        "names": ["a", 2],
        "topics": 7
      }
      """
    let (_, problems) = try read(json) { reader in
      _ = reader.integer("port", in: 1...65535, default: 8480)
      _ = reader.duration("ping_interval", in: .seconds(1) ... .seconds(60), default: .seconds(25))
      reader.section("tls") {
        _ = $0.string("certificate")
        _ = $0.boolean("strict", default: false)
        _ = $0.string("key")
      }
      _ = reader.sections("sockets") { $0.string("name") }
      _ = reader.duration("every", in: .milliseconds(1) ... .seconds(60))
      _ = reader.strings("names")
      _ = reader.table("topics") { name, _ in name }
      reader.problem("port", "is taken")
    }
    #expect(
      problems == [
        "2 port: expected an integer of 1 to 65535, not 70000",
        "4 tls.certificate: expected text, not 5",
        "4 tls.strict: expected true or false, not \"yes\"",
        "4 tls.key: is missing; expected text",
        "7 sockets[1].name: is missing; expected text",
        "7 sockets[1].nmae: unknown key; did you mean \"name\"?",
        "9 every: expected a duration of 1ms to 1m, such as \"250ms\", \"10s\", \"5m\" or \"2h\", not \"10\"",
        "10 names[1]: expected text, not 2",
        "11 topics: expected a section, not 7",
        "2 port: is taken",
        "3 ping_intervall: unknown key; did you mean \"ping_interval\"?",
      ])
  }

  @Test func readsATableWhoseKeysAreData() throws {
    let (kinds, problems) = try read(#"{"kinds": {"chat": {"ttl": "1h"}, "feed": {"ttl": "2h", "x": 1}}}"#) { reader in
      reader.table("kinds") { name, section in
        "\(name)=\(section.duration("ttl", in: .zero ... .seconds(86400)))"
      }
    }
    #expect(kinds.map(\.value) == ["chat=3600.0 seconds", "feed=7200.0 seconds"])
    #expect(problems == ["1 kinds.feed.x: unknown key"])
  }

  @Test func boundsWhatItTells() throws {
    let keys = (0..<500).map { "\"k\($0)\": \($0)" }.joined(separator: ",")
    let (_, problems) = try read("{\(keys)}") { _ in }
    #expect(problems.count == SystemLimits.settingsProblemsMax)
    let nested = (0..<500).map { "\"k\($0)\": {\"a\":1,\"b\":2}" }.joined(separator: ",")
    let (_, more) = try read("{\(nested)}") { reader in for key in reader.keys { reader.section(key) { _ in } } }
    #expect(more.count == SystemLimits.settingsProblemsMax)
  }

  @Test func somethingElseThanASectionIsOneProblem() throws {
    let (value, problems) = try read("[1]") { $0.integer("a", in: 1...2, default: 2) }
    #expect(value == 2)
    #expect(problems == ["1 expected a section, not a list"])
  }

  @Test func findsTheLineOfAPath() throws {
    let json = "{\n\"a\": {\n\"b.c\": [\n{\"d\": 1},\n{\"e\": 2}]},\n\"f\": 1}"
    let node = try SettingsNode(json: Array(json.utf8))
    #expect(node.line(at: "") == 1)
    #expect(node.line(at: "a") == 2)
    #expect(node.line(at: "a.b.c[1].e") == 5)
    #expect(node.line(at: "a.b.c[1].missing") == 5)
    #expect(node.line(at: "a.b.c[9]") == 3)
    #expect(node.line(at: "f") == 6)
    #expect(node.line(at: "nowhere") == 1)
    #expect(node.line(at: "a.b.c[x") == 3)
  }

  @Test func mergesSectionBySection() throws {
    let base = try SettingsNode(json: Array(#"{"a": {"x": 1, "y": 2}, "b": [1]}"#.utf8))
    let over = try SettingsNode(json: Array(#"{"a": {"y": 3, "z": 4}, "b": [2], "c": null}"#.utf8))
    #expect(
      String(decoding: base.merging(over).json(), as: UTF8.self)
        == #"{"a":{"x":1,"y":3,"z":4},"b":[2],"c":null}"#)
  }
}

@Suite struct SettingsTextTests {
  @Test(arguments: [
    ("250ms", 250_000_000), ("10s", 10_000_000_000), ("5m", 300_000_000_000), ("1h30m", 5_400_000_000_000),
    ("7d", 604_800_000_000_000), ("0", 0), ("0s", 0), ("15us", 15_000),
  ])
  func readsDurations(_ text: String, _ nanoseconds: Int64) {
    #expect(SettingsText.duration(text) == .nanoseconds(nanoseconds))
  }

  @Test(arguments: ["", "10", "s", "1.5s", "-1s", "10 s", "1h30", "99999999999d", "10S", "\u{0661}s"])
  func refusesWhatIsNoDuration(_ text: String) { #expect(SettingsText.duration(text) == nil) }

  @Test(arguments: [
    ("512", 512), ("64KiB", 65536), ("1 MiB", 1 << 20), ("2GiB", 2 << 30), ("10MB", 10_000_000), ("5B", 5),
  ])
  func readsSizes(_ text: String, _ bytes: Int) { #expect(SettingsText.bytes(text) == bytes) }

  @Test(arguments: ["", "KiB", "1.5MiB", "-1", "1kib", "99999999TiB"])
  func refusesWhatIsNoSize(_ text: String) { #expect(SettingsText.bytes(text) == nil) }

  @Test func writesThemAsTheyAreRead() {
    #expect(SettingsText.duration(.seconds(90)) == "90s")
    #expect(SettingsText.duration(.seconds(7200)) == "2h")
    #expect(SettingsText.duration(.zero) == "0s")
    #expect(SettingsText.bytes(65536) == "64KiB")
    #expect(SettingsText.bytes(0) == "0")
    #expect(SettingsText.bytes(1000) == "1000")
  }

  @Test func findsTheNearestNameOnlyWhenItIsNear() {
    let names = ["ping_interval", "grace", "max_connections"]
    #expect(EditDistance.nearest(to: "pingInterval", among: names) == "ping_interval")
    #expect(EditDistance.nearest(to: "garce", among: names) == "grace")
    #expect(EditDistance.nearest(to: "tls", among: names) == nil)
    #expect(EditDistance.nearest(to: "", among: names) == nil)
    #expect(EditDistance.nearest(to: String(repeating: "x", count: 10_000), among: names) == nil)
  }
}
