/**
 * Field 22 of `/proc/PID/stat` (proc(5)): start time in clock ticks. The second field is the
 * program's name in parentheses and may itself hold spaces and parentheses, so counting begins
 * after the last one. `undefined` when the text is not such a line, or shows a zombie.
 */
export function parseStartTicks(text: string): number | undefined {
  const end = text.lastIndexOf(')');
  if (end < 0) return undefined;
  const fields = text
    .slice(end + 1)
    .trim()
    .split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const ticks = Number(fields[19]);
  return fields[19] !== undefined && Number.isInteger(ticks) && ticks >= 0 ? ticks : undefined;
}
