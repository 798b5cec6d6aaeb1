import Testing

@testable import avaloctl

@Suite struct FlagOverridesTests {
  @Test(arguments: [
    ("on", "100"), ("OFF", "0"), ("25", "25"), ("25%", "25"), ("12.50%", "12.5"), ("100.00", "100"), ("0.01", "0.01"),
  ])
  func sharesAreReadAsPeopleTypeThem(text: String, percent: String) {
    #expect(FlagOverrides.percent(text) == percent)
  }

  @Test(arguments: ["", "%", "101", "-1", "1e2", "0.001", "half", " 5", "5 %", "nan", "0x10"])
  func whatIsNoShareIsNone(text: String) {
    #expect(FlagOverrides.percent(text) == nil)
  }

  @Test func whatIsWrittenIsReadAgain() throws {
    var overrides = FlagOverrides()
    #expect(overrides.text == nil)
    overrides["realtime_presence"] = "12.5"
    overrides["realtime_engine_v2"] = "100"
    let text = try #require(overrides.text)
    #expect(
      text == """
        # Written by `avaloctl flags set`; goes over what avalo.yaml says. `avaloctl flags unset NAME` takes a line away.
        workers:
          gateway:
            settings:
              flags:
                realtime_engine_v2: {rollout: 100}
                realtime_presence: {rollout: 12.5}

        """)
    #expect(FlagOverrides(text: text) == overrides)
  }

  @Test func whatSomebodyElseWroteIsLeftAlone() throws {
    var overrides = FlagOverrides()
    overrides["realtime_presence"] = "5"
    let text = try #require(overrides.text)
    #expect(FlagOverrides(text: "workers: {}\n") == nil)
    #expect(FlagOverrides(text: text + "        realtime_engine_v2: {rollout: 5, allow: [ann]}\n") == nil)
    #expect(FlagOverrides(text: text + "log: {level: debug}\n") == nil)
  }
}
