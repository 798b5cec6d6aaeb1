import AvaloClient
import AvaloCore
import AvaloKeys

/// Changes the overrides of a running server: checked before, in force after, or as it was.
struct FlagEditor {
  private let control: Control

  init(_ control: Control) { self.control = control }

  /// Answers the flags that are in force then.
  func change(_ name: String, _ body: (inout FlagOverrides) -> Void) async throws -> JSONText {
    let known = try await control.get("/workers/gateway/flags").read { $0.list("flags").map { $0.text("name") } }
    guard known.contains(name) else {
      throw ToolError.usage("There is no flag \"\(name)\"; there are: \(known.joined(separator: ", "))")
    }
    let folder = KeyFolder(try await control.status().read { $0.text("configDirectory") })
    let before = try folder.dropIn(FlagOverrides.fileName)
    guard var overrides = before.map({ FlagOverrides(text: $0) }) ?? FlagOverrides() else {
      throw ToolError.failed(
        "\(folder.dropInPath(FlagOverrides.fileName)) was not written by avaloctl alone: change it by hand, or move it "
          + "away and try again")
    }
    body(&overrides)
    try folder.setDropIn(FlagOverrides.fileName, to: overrides.text)
    do {
      try await Reload.run(control)
    } catch {
      // As if nothing had been tried: the next start must not find what was refused.
      try folder.setDropIn(FlagOverrides.fileName, to: before)
      throw error
    }
    return try await control.get("/workers/gateway/flags")
  }
}
