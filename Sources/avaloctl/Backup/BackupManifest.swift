import AvaloClient
import AvaloCore

/// What a backup holds, and how to know that it is whole: its last file, `manifest.json`.
struct BackupManifest: Equatable {
  static let name = "manifest.json"
  static let format: Int64 = 1

  struct File: Equatable {
    /// Within the archive: `state/events.sqlite`, `config/avalo.yaml`.
    var name: String
    var bytes: Int64
    /// In hexadecimal.
    var sha256: String
    /// Where it lay: relative to the state or the configuration folder, or absolute when it was outside.
    var place: String
  }

  /// Of avalod.
  var version: String
  /// Milliseconds since 1970.
  var createdAt: Int64
  var files: [File] = []

  init(version: String, createdAt: Int64) {
    self.version = version
    self.createdAt = createdAt
  }

  var document: JSONText {
    JSONText.of {
      $0.member("format", BackupManifest.format)
      $0.member("version", version)
      $0.member("createdAt", createdAt)
      $0.key("files")
      $0.array {
        for file in files {
          $0.object {
            $0.member("name", file.name)
            $0.member("bytes", file.bytes)
            $0.member("sha256", file.sha256)
            $0.member("place", file.place)
          }
        }
      }
    }
  }

  init(_ document: JSONText) throws {
    self = try document.read { view in
      guard view.number("format") == BackupManifest.format else {
        throw ToolError.failed(
          "the backup has the format \(view.digits("format")), which this avaloctl does not know; use the release that "
            + "made it, or a newer one")
      }
      var manifest = BackupManifest(version: view.text("version"), createdAt: view.number("createdAt") ?? 0)
      manifest.files = try view.list("files").map { file in
        guard let name = file["name"]?.string, let bytes = file.number("bytes"), let sha256 = file["sha256"]?.string,
          let place = file["place"]?.string
        else { throw ToolError.failed("the backup's \(BackupManifest.name) is incomplete") }
        return File(name: name, bytes: bytes, sha256: sha256, place: place)
      }
      return manifest
    }
  }

  /// In which of its two parts a file is.
  static let state = "state/"
  static let config = "config/"
}
