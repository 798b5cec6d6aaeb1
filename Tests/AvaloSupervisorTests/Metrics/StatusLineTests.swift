import AvaloSystem
import Testing

@testable import AvaloSupervisor

@Suite struct StatusLineTests {
  let connections = StatusSeries(series: "avalo_connections", label: "connections", rate: false)
  let events = StatusSeries(series: "avalo_events_published_total", label: "events/s", rate: true)

  @Test func readsAsASentence() {
    let now = MonotonicInstant(nanoseconds: 9_000_000_000)
    let before = SeriesSum(value: 1000, at: now, before: nil)
    let later = SeriesSum(value: 7015, at: now + .seconds(5), before: before)
    let open = SeriesSum(value: 10_412, at: now, before: nil)
    #expect(
      StatusLine.text(.running, up: 3, running: 3, of: 3, missing: [], series: [(connections, open), (events, later)])
        == "3 workers, 10 412 connections, 1 203 events/s")
    #expect(
      StatusLine.text(
        .running, up: 2, running: 2, of: 3, missing: ["presence.0 waiting 4s after exit 1"],
        series: [(connections, nil), (events, before)]) == "2 of 3 workers ready, presence.0 waiting 4s after exit 1")
    #expect(
      StatusLine.text(.stopping, up: 0, running: 1, of: 3, missing: ["a.0 idle"], series: [])
        == "stopping: 1 worker left")
    #expect(
      StatusLine.text(.starting, up: 0, running: 3, of: 3, missing: ["a.0 starting"], series: [])
        == "starting: 0 of 3 workers ready, a.0 starting")
  }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1 000"), (1_234_567.6, "1 234 568"), (-4321, "-4 321"), (.nan, "nan"),
  ])
  func groupsDigits(value: Double, text: String) {
    #expect(StatusLine.grouped(value) == text)
  }

  @Test func aFallCountsAsNoGrowth() {
    let now = MonotonicInstant(nanoseconds: 9_000_000_000)
    let before = SeriesSum(value: 1000, at: now, before: nil)
    #expect(SeriesSum(value: 10, at: now + .seconds(5), before: before).rate == 0)
    #expect(SeriesSum(value: 10, at: now, before: before).rate == nil)
  }
}
