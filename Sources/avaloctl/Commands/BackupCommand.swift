import ArgumentParser
import AvaloClient
import AvaloCore
import Glibc

struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Writes the log, presence and the configuration with its keys to one file, while the server runs.",
    discussion: """
      A tar archive that only you may read, for there are secrets in it; its manifest.json has the checksums. Each database
      is copied as it is at one moment, which takes as much room in the state folder as it has itself.
      """)

  @Argument(help: "The file to make.") var file: String
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let control = control.control
      let (version, config, state) = try await control.status().read {
        ($0.text("version"), $0.text("configDirectory"), $0.text("stateDirectory"))
      }
      let archive = try ArchiveWriter(file, BackupManifest(version: version, createdAt: WallClock.milliseconds()))
      try await Snapshots(control).with { copies in
        var names: Set<String> = []
        for copy in copies {
          let place = copy.file.hasPrefix(state + "/") ? String(copy.file.dropFirst(state.count + 1)) : copy.file
          var name = copy.file.split(separator: "/").last.map(String.init) ?? copy.file
          // Two workers' files may have one name in two folders.
          while !names.insert(name).inserted { name = "other-" + name }
          try archive.add(copy.path, as: BackupManifest.state + name, place: place)
        }
      }
      for place in try ConfigurationFolder(config).files() {
        try archive.add("\(config)/\(place)", as: BackupManifest.config + place, place: place)
      }
      let bytes = try archive.finish()
      guard !output.json else { return Output.line(archive.manifest.document.description) }
      Output.line("wrote \(archive.manifest.files.count) files, \(Quantity.bytes(Double(bytes))), to \(file)")
    }
  }
}

/// The files of a configuration folder, with those in its subfolders.
struct ConfigurationFolder {
  let path: String
  init(_ path: String) { self.path = path }

  /// Their places in it, in order. What is no file, is hidden, or is larger than a configuration is, is left out.
  func files() throws -> [String] {
    let files = try files(in: "").sorted()
    guard files.count <= CtlLimits.configurationFilesMax else {
      throw ToolError.failed(
        "\(path) has \(files.count) files; a configuration has at most \(CtlLimits.configurationFilesMax)")
    }
    return files
  }

  private func files(in place: String) throws -> [String] {
    guard let folder = opendir("\(path)/\(place)") else { throw ToolError.system("read", "\(path)/\(place)") }
    defer { closedir(folder) }
    var found: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      let inner = place + name
      var status = stat()
      guard !name.hasPrefix("."), stat("\(path)/\(inner)", &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR {
        // Deeper than that lies no configuration.
        if !place.contains("/") { found += try files(in: inner + "/") }
      } else if status.st_mode & S_IFMT == S_IFREG, Int64(status.st_size) <= CtlLimits.configurationBytesMax,
        (BackupManifest.config + inner).utf8.count <= TarHeader.nameBytesMax
      {
        found.append(inner)
      }
    }
    return found
  }
}
