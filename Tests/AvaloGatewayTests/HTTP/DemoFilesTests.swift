import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct DemoFilesTests {
  private func get(_ path: String, _ method: String = "GET") -> String {
    "\(method) \(path) HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
  }

  private func fixture() async throws -> HTTPFixture {
    let pages = try TemporaryFolder()
    pages.write("index.html", "<!doctype html>")
    pages.write("app.mjs", "export {};")
    pages.write("notes.txt", "of no known type")
    return try await HTTPFixture(#""demo_folder":"\#(pages.path)""#)
  }

  @Test func servesItsFilesWithAPolicyThatAllowsNothingElse() async throws {
    let fixture = try await fixture()
    let answers = try fixture.exchange(get("/demo/") + get("/demo/app.mjs?v=1") + get("/demo/app.mjs", "HEAD"))
    #expect(answers[0].status == 200)
    #expect(answers[0].body == "<!doctype html>")
    #expect(answers[0].header("Content-Type") == "text/html; charset=utf-8")
    #expect(answers[0].header("Content-Security-Policy")?.hasPrefix("default-src 'none'; script-src 'self'") == true)
    #expect(answers[1].header("Content-Type") == "text/javascript; charset=utf-8")
    #expect(answers[1].body == "export {};")
  }

  @Test func leadsToTheSlash() async throws {
    let answers = try await fixture().exchange(get("/demo"))
    #expect(answers[0].status == 308)
    #expect(answers[0].header("Location") == "/demo/")
  }

  @Test(arguments: ["/demo/notes.txt", "/demo/../keys.json", "/demo/%2e%2e/keys.json", "/demo/a/b", "/demonstration"])
  func hasNothingElse(path: String) async throws {
    let answers = try await fixture().exchange(get(path))
    #expect([404, 405].contains(answers[0].status))
  }

  @Test func leavesCallsOfAProjectOfThatNameAlone() async throws {
    let fixture = try await fixture()
    let answers = try fixture.exchange(fixture.request("demo/europe/getPresenceV1", #"{"data":{"userIds":[]}}"#))
    #expect(answers[0].status != 404)
  }

  @Test func isNotThereUnlessTheSettingsNameIt() async throws {
    let answers = try await HTTPFixture().exchange(get("/demo") + get("/demo/") + get("/demo/index.html"))
    #expect(answers.map(\.status) == [404, 404, 404])
  }

  @Test func saysWhatIsWrongWithTheFolder() throws {
    let empty = try TemporaryFolder()
    var problems: [SettingsProblem] = []
    #expect(DemoFiles.load("\(empty.path)/none", problems: &problems) == nil)
    #expect(DemoFiles.load(empty.path, problems: &problems) == nil)
    empty.write("index.html", String(repeating: "x", count: GatewayLimits.demoFileBytesMax + 1))
    #expect(DemoFiles.load(empty.path, problems: &problems) == nil)
    #expect(problems.map(\.path) == ["demo_folder", "demo_folder", "demo_folder"])
    #expect(problems[0].message.hasSuffix("No such file or directory"))
    #expect(problems[1].message.hasSuffix("has no index.html"))
    #expect(problems[2].message.hasSuffix("over 1048576 bytes"))
  }
}
