import ArgumentParser
import AvaloKeys

struct InitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Makes a configuration folder ready: a signing secret and a first API key.",
    discussion: """
      What is there is left as it is; doing it again changes nothing. For development (--dev) avalo.yaml is also told to let
      everybody connect, pages of this machine call, and members of a chat publish to it.
      """)

  @OptionGroup var config: ConfigOption
  @Flag(
    help: "For development: keep the API key in the folder too, in dev-api-key, and open what is closed in production.")
  var dev = false

  func run() async throws {
    try await reportingErrors {
      var generator = SystemRandomNumberGenerator()
      let folder = config.keys
      let made = try folder.prepare(forDevelopment: dev, using: &generator)
      if made.secret { Output.line("made the signing secret in \(folder.secretPath)") }
      if let key = made.apiKey {
        Output.line("made an API key; its hash is in \(folder.apiKeysPath)")
        if dev {
          Output.line("the key itself is in \(folder.developmentKeyPath)")
        } else {
          Output.line("this is the key; it is not shown again: \(key.text)")
        }
      }
      var isChanged = made.secret || made.apiKey != nil
      if dev {
        switch try DevelopmentSetup.apply(to: folder.directory) {
        case .added:
          Output.line("added settings for development to \(folder.directory)/avalo.yaml")
          isChanged = true
        case .occupied:
          Output.line("left \(folder.directory)/avalo.yaml as it is: it says something of workers already")
        case .unchanged: break
        }
      }
      if !isChanged { Output.line("\(folder.directory) is ready; nothing was changed") }
    }
  }
}
