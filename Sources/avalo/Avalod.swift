import ArgumentParser
import AvaloSupervisor
import Glibc

/// The supervisor's command line.
struct Avalod: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "avalod", abstract: "Runs the Avalo Realtime service: starts its workers and watches over them.",
    version: Daemon.version)

  @Option(name: .long, help: "The folder with avalo.yaml and workers.d.")
  var config = "/etc/avalo"
  @Flag(name: .long, help: "Print everything that is wrong with the configuration (exit 78), start nothing.")
  var check = false
  @Flag(name: .long, help: "Print what --check finds as JSON.")
  var json = false
  @Flag(name: .long, help: "Print the configuration that would be in force, with every default, start nothing.")
  var printConfig = false

  func run() throws {
    let daemon = Daemon(folder: config)
    Glibc.exit(check ? daemon.check(json: json) : printConfig ? daemon.printConfiguration() : daemon.run())
  }
}
