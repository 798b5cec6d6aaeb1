import Testing

@testable import AvaloSupervisor

@Suite struct ExpositionTests {
  static func read(_ page: String) throws -> Exposition { try Exposition(Array(page.utf8)) }
  static func text(_ exposition: Exposition) -> String { String(decoding: exposition.page(), as: UTF8.self) }

  @Test func putsTheWorkersOfOneFamilyTogether() throws {
    let gateway = """
      # HELP avalo_connections Open connections.
      # TYPE avalo_connections gauge
      avalo_connections{transport="ws"} 3
      # HELP avalo_seconds Time.
      # TYPE avalo_seconds histogram
      avalo_seconds_bucket{le="0.1"} 1
      avalo_seconds_bucket{le="+Inf"} 2
      avalo_seconds_sum 0.7
      avalo_seconds_count 2

      """
    var page = Exposition()
    page.declare("avalo_worker_up", "gauge", "Whether it serves.")
    page.add("avalo_worker_up", ["worker": "gateway", "slot": "0"], 1)
    #expect(page.merge(try Self.read(gateway), labels: ["worker": "gateway", "slot": "0"]) == [])
    #expect(page.merge(try Self.read(gateway), labels: ["worker": "gateway", "slot": "1"]) == [])
    #expect(
      Self.text(page) == """
        # HELP avalo_worker_up Whether it serves.
        # TYPE avalo_worker_up gauge
        avalo_worker_up{worker="gateway",slot="0"} 1
        # HELP avalo_connections Open connections.
        # TYPE avalo_connections gauge
        avalo_connections{worker="gateway",slot="0",transport="ws"} 3
        avalo_connections{worker="gateway",slot="1",transport="ws"} 3
        # HELP avalo_seconds Time.
        # TYPE avalo_seconds histogram
        avalo_seconds_bucket{worker="gateway",slot="0",le="0.1"} 1
        avalo_seconds_bucket{worker="gateway",slot="0",le="+Inf"} 2
        avalo_seconds_sum{worker="gateway",slot="0"} 0.7
        avalo_seconds_count{worker="gateway",slot="0"} 2
        avalo_seconds_bucket{worker="gateway",slot="1",le="0.1"} 1
        avalo_seconds_bucket{worker="gateway",slot="1",le="+Inf"} 2
        avalo_seconds_sum{worker="gateway",slot="1"} 0.7
        avalo_seconds_count{worker="gateway",slot="1"} 2

        """)
  }

  @Test func keepsValuesTimesAndEscapesAsTheyWereWritten() throws {
    let page = """
      # a comment
      up{path="C:\\\\a \\"b\\" }",x="\\n"} 1.5e-07 1700000000000
      plain   NaN
      inf{a="1",} +Inf

      """
    let read = try Self.read(page)
    #expect(read.families.map(\.name) == ["up", "plain", "inf"])
    #expect(
      read.families[0].samples == [
        .init(name: "up", labels: #"path="C:\\a \"b\" }",x="\n""#, value: "1.5e-07 1700000000000")
      ])
    #expect(read.families[1].samples == [.init(name: "plain", labels: "", value: "NaN")])
    #expect(read.families[2].samples == [.init(name: "inf", labels: #"a="1""#, value: "+Inf")])
  }

  @Test(arguments: ["up", "up{", "up{a=\"1} 2", "up 1 {", "1up 2", "up one", "{a=\"1\"} 2", "up{a=\"1\"}"])
  func refusesWhatIsNoPage(line: String) {
    #expect(throws: ExpositionError(line: 2)) { try Self.read("good 1\n\(line)\n") }
  }

  @Test func renamesLabelsThatAreOurs() throws {
    var page = Exposition()
    _ = page.merge(
      try Self.read("jobs{worker=\"mine\",slots=\"2\",slot=\"a\\\"worker=\",x=\"worker=\"} 1"),
      labels: ["worker": "w", "slot": "0"])
    #expect(
      Self.text(page)
        == "# TYPE jobs untyped\njobs{worker=\"w\",slot=\"0\",exported_worker=\"mine\",slots=\"2\",exported_slot=\"a\\\"worker=\",x=\"worker=\"} 1\n"
    )
  }

  @Test func leavesOutAFamilyThatHasAnotherTypeThanBefore() throws {
    var page = Exposition()
    _ = page.merge(try Self.read("# TYPE a counter\na 1\n"), labels: ["worker": "x"])
    #expect(page.merge(try Self.read("# TYPE a gauge\na 2\nb 3\n"), labels: ["worker": "y"]) == ["a"])
    #expect(Self.text(page) == "# TYPE a counter\na{worker=\"x\"} 1\n# TYPE b untyped\nb{worker=\"y\"} 3\n")
  }

  @Test func sumsASeriesOverItsLabels() throws {
    let page = try Self.read("a{x=\"1\"} 2\na{x=\"2\"} 3.5\nab 100\n")
    #expect(page.sum(of: "a") == 5.5)
    #expect(page.sum(of: "c") == nil)
  }

  @Test func anyBytesAreReadOrRefused() {
    var random = SeededGenerator(seed: 11)
    let pieces = [
      "# TYPE ", "# HELP ", "a_bucket", "{", "}", "\"", "\\", "le=", ",", " ", "1", "\n", "NaN", "ä", "worker=\"x\"",
    ].map { Array($0.utf8) }
    for _ in 0..<20_000 {
      var page: [UInt8] = []
      for _ in 0..<Int.random(in: 0...20, using: &random) {
        page +=
          Int.random(in: 0..<10, using: &random) > 0
          ? pieces.randomElement(using: &random)! : [UInt8.random(in: 0...255, using: &random)]
      }
      guard let read = try? Exposition(page) else { continue }
      var merged = Exposition()
      _ = merged.merge(read, labels: ["worker": "w"])
      // What we write, we can read.
      #expect(throws: Never.self) { try Exposition(merged.page()) }
    }
  }
}
