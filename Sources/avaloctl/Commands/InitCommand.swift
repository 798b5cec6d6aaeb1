import ArgumentParser
import AvaloKeys

struct InitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Makes a configuration folder ready: a signing secret and a first API key.",
    discussion: "What is there is left as it is; doing it again changes nothing.")

  @OptionGroup var config: ConfigOption
  @Flag(help: "For development: keep the API key in the folder too, in dev-api-key.")
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
      if !made.secret, made.apiKey == nil { Output.line("\(folder.directory) is ready; nothing was changed") }
    }
  }
}
