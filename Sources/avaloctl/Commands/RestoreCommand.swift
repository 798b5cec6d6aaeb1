import ArgumentParser
import AvaloClient
import AvaloCore
import AvaloKeys
import Glibc

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Puts a backup in the place of the log and presence; avalod must be stopped.",
    discussion: """
      Everything is read and compared with its checksums before anything changes. What was there is moved aside, to
      names that end in .before-restore-TIME. The log begins a new generation: clients are told that what they knew of
      offsets is over (a gap with the reason "epoch") and go on from where their device stood when the backup was made.
      The configuration is restored only when you say so.
      """)

  @Argument(help: "The backup.") var file: String
  @Flag(help: "Only read the backup and compare its checksums; the server may run.") var verify = false
  @Flag(name: .customLong("with-config"), help: "Restore the configuration with its keys, too.") var withConfig = false
  @Flag(
    name: .customLong("in-place"),
    help: "Put databases that lay outside the state folder back there, at their whole path.")
  var inPlace = false
  @Option(
    name: .customLong("state"), help: "The state folder (default: $AVALO_STATE_DIR, ./.avalo/state, /var/lib/avalo).")
  var stateFolder: String?
  @OptionGroup var config: ConfigOption
  @OptionGroup var output: OutputOption

  func run() async throws {
    try await reportingErrors {
      let manifest = try ArchiveReader(path: file).read()
      guard !verify else { return report(manifest, "is whole", aside: []) }
      let target = try RestoreTarget(state: stateFolder ?? Places.stateFolder())
      let wanted = manifest.files.filter { withConfig || !$0.name.hasPrefix(BackupManifest.config) }
      var places: [String: String] = [:]
      for file in wanted {
        let place = try target.path(of: file, config: config.path, inPlace: inPlace)
        guard !places.values.contains(place) else { throw ToolError.failed("the backup has two files for \(place)") }
        places[file.name] = place
        if file.name.hasPrefix(BackupManifest.state) { try target.claim(database: place) }
      }
      do {
        // Again, for it may have changed since.
        let again = try ArchiveReader(path: file).read { name in try places[name].map { try target.create($0) } }
        guard again == manifest else { throw ToolError.failed("\(file) changed while it was read") }
      } catch {
        for place in places.values { unlink(RestoreTarget.draft(place)) }
        throw error
      }
      let aside = try wanted.compactMap { try places[$0.name].flatMap { try target.put($0) } }
      report(manifest, "is restored", aside: aside)
    }
  }

  private func report(_ manifest: BackupManifest, _ what: String, aside: [String]) {
    guard !output.json else {
      return Output.line(
        JSONText.of {
          $0.member("restored", !verify)
          $0.key("manifest")
          $0.raw(manifest.document.bytes)
          $0.key("aside")
          $0.array { for path in aside { $0.string(path) } }
        }.description)
    }
    Output.line("\(file) of \(WallClock.text(manifest.createdAt)), by avalod \(manifest.version), \(what):")
    Output.table(manifest.files.map { ["  \($0.name)", Quantity.bytes(Double($0.bytes))] })
    for path in aside { Output.line("what was there is \(path) now") }
  }
}
