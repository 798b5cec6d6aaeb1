import AvaloSystem
import Testing

@testable import AvaloConsole

@Suite struct ConsoleSettingsTests {
  private func read(_ json: String) throws -> (ConsoleSettings, [String]) {
    let (settings, problems) = SettingsReader.read(try SettingsNode(json: Array(json.utf8))) { ConsoleSettings(&$0) }
    return (settings, problems.map(\.description))
  }

  @Test func findsTheControlSocketInTheRuntimeDirectoryOrWhereItIsSaid() throws {
    #expect(try read("{}").0.controlPath(in: "/run/avalo") == "/run/avalo/control.sock")
    #expect(try read(#"{"control_socket":"c.sock"}"#).0.controlPath(in: "/run/avalo") == "/run/avalo/c.sock")
    #expect(try read(#"{"control_socket":"/tmp/c"}"#).0.controlPath(in: "/run/avalo") == "/tmp/c")
  }

  @Test func refusesWhatMakesNoSense() throws {
    #expect(try read("{}").1 == [])
    #expect(try read(#"{"control_socket":""}"#).1 == ["control_socket: is empty"])
    for wrong in [
      #"{"session_time":"59s"}"#, #"{"session_time":"8d"}"#, #"{"sample_interval":"100ms"}"#,
      #"{"sample_interval":"2m"}"#, #"{"secure_cookie":"maybe"}"#, #"{"sampel_interval":"5s"}"#,
    ] { #expect(try read(wrong).1.count == 1, "\(wrong)") }
  }
}
