import AvaloSystem
import Glibc

/// The files of a page on which a developer sees the engine live, served below `/demo/`. Read once, with the settings, and
/// held: no request reads a disk, and nothing but what lies in that one folder can be asked for. A value.
public struct DemoFiles: Sendable {
  struct File: Sendable, Equatable {
    /// Its media type.
    var type: String
    var bytes: [UInt8]
  }

  /// By their names.
  private let files: [String: File]

  /// What is asked for behind `/demo/`; nothing stands for the page itself.
  func file(_ name: Substring) -> File? { files[name.isEmpty ? "index.html" : String(name)] }

  /// What every answer says, so that the page can do no more than it needs to: no other origin, no inline script, no frame.
  static let headers =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    + "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n"

  /// The files directly in `folder` whose type is known; `nil` without a folder.
  static func load(_ folder: String?, problems: inout [SettingsProblem]) -> DemoFiles? {
    guard let folder else { return nil }
    do throws(KeyMaterial.Refusal) {
      return try DemoFiles(folder)
    } catch {
      problems.append(SettingsProblem(path: "demo_folder", message: error.message))
      return nil
    }
  }

  private init(_ folder: String) throws(KeyMaterial.Refusal) {
    guard let directory = opendir(folder) else {
      throw KeyMaterial.Refusal("\(folder): \(String(cString: strerror(errno)))")
    }
    defer { closedir(directory) }
    var files: [String: File] = [:]
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      guard let dot = name.lastIndex(of: "."), dot != name.startIndex,
        let type = DemoFiles.types[name[dot...].dropFirst()]
      else { continue }
      guard files.count < GatewayLimits.demoFilesMax else {
        throw KeyMaterial.Refusal("\(folder): more than \(GatewayLimits.demoFilesMax) files")
      }
      files[name] = File(
        type: type, bytes: try KeyFile.read("\(folder)/\(name)", bytesMax: GatewayLimits.demoFileBytesMax))
    }
    guard files["index.html"] != nil else { throw KeyMaterial.Refusal("\(folder): has no index.html") }
    self.files = files
  }

  private static let types: [Substring: String] = [
    "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8", "json": "application/json", "svg": "image/svg+xml", "png": "image/png",
  ]
}
