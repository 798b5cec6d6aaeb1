import AvaloTesting
import Foundation
import Testing

@testable import AvaloWebhook

/// What docs/webhooks.md gives to receivers verifies what we sign.
@Suite struct DocumentedVerifiersTests {
  private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  private static let body = #"{"test": 2432232314}"#

  private func example(_ language: String) throws -> String {
    let page = try String(contentsOfFile: "\(TestPaths.root)/docs/webhooks.md", encoding: .utf8)
    let start = try #require(page.range(of: "```\(language)\n")).upperBound
    return String(page[start..<(try #require(page[start...].range(of: "\n```")).lowerBound)])
  }

  /// Runs it with our headers, with a body that was changed, a minute too late, and with a secret that is being exchanged.
  private func run(_ interpreter: String, _ program: String) async throws -> String {
    let folder = TestFolder()
    let path = try folder.write(program, to: "verify")
    let process = try await TestProcess.start(try #require(Needs.path(of: interpreter)), [path])
    _ = try await process.ending(within: .seconds(60))
    return process.output
  }

  private func headers() throws -> String {
    let other = "whsec_" + String(repeating: "AAAA", count: 16)
    let secrets = try SigningSecrets([other, Self.secret])
    let pairs = Poster.headers(
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: Array(Self.body.utf8), secrets)
    return "{" + pairs.map { #""\#($0.0.lowercased())": "\#($0.1)""# }.joined(separator: ", ") + "}"
  }

  @Test(.enabled(if: Needs.path(of: "python3") != nil, "needs python3")) func inPython() async throws {
    let program = """
      \(try example("python"))
      headers = \(try headers())
      for body, now in ((b'\(Self.body)', 1614265330), (b'{}', 1614265330), (b'\(Self.body)', 1614265631)):
          print(verify(headers, body, '\(Self.secret)', now))
      """
    #expect(try await run("python3", program) == "True\nFalse\nFalse\n")
  }

  @Test(.enabled(if: Needs.path(of: "node") != nil, "needs node")) func inNode() async throws {
    let program = """
      \(try example("js"))
      const headers = \(try headers());
      for (const [body, now] of [['\(Self.body)', 1614265330], ['{}', 1614265330], ['\(Self.body)', 1614265631]])
        console.log(verify(headers, Buffer.from(body), '\(Self.secret)', now));
      """
    #expect(try await run("node", program) == "true\nfalse\nfalse\n")
  }
}
