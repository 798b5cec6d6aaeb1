import AvaloTesting
import Foundation
import Testing

/// What the client's documentation shows is code that compiles: `DocumentedExamples.swift` holds it, word for word.
@Suite struct DocumentedExamplesTests {
  private static let folder = "\(TestPaths.root)/Sources/AvaloClient/AvaloClient.docc"
  private static let articles =
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".md") }.sorted()

  /// Lines without what indents and parts them: where they stand is not what they say.
  private func words(_ text: String) -> [String] {
    text.split(whereSeparator: \.isWhitespace).map(String.init)
  }

  private static let toolchain = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .first { FileManager.default.isExecutableFile(atPath: "\($0)/docc") }

  /// A symbol that is not there any more, an article that was renamed: docc says so.
  @Test(.enabled(if: toolchain != nil, "needs docc")) func everyLinkLeadsSomewhere() async throws {
    let folder = TestFolder()
    var environment = TestProcess.plainEnvironment
    environment["PATH"] = ProcessInfo.processInfo.environment["PATH"]
    let script = try await TestProcess.start(
      "\(TestPaths.root)/scripts/client-docs", ["\(folder.path)/docs"], environment: environment)
    let ending = try await script.ending(within: .seconds(120))
    #expect(ending == .exit(0), "\(script.output)")
  }

  @Test func thereAreArticles() { #expect(Self.articles.count >= 5) }

  @Test(arguments: articles) func everyExampleCompiles(article: String) throws {
    let file = "\(TestPaths.root)/Tests/AvaloToolTests/Client/DocumentedExamples.swift"
    let compiled = words(try String(contentsOfFile: file, encoding: .utf8)).joined(separator: " ")
    let text = try String(contentsOfFile: "\(Self.folder)/\(article)", encoding: .utf8)
    for example in text.matches(of: /```swift\n((?s:.*?))```/) {
      #expect(
        compiled.contains(words(String(example.1)).joined(separator: " ")),
        "\(article) shows what DocumentedExamples.swift has not:\n\(example.1)")
    }
  }
}
