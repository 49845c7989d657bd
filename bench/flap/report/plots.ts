/**
 * The program inside a report: draws its plots with uPlot in the reader's browser. It goes into the
 * page as its own source text, so it may use nothing from outside {@link drawPlots}, and of the
 * browser only what is declared here.
 */

/** One plot, as it lies in the page. */
export interface PlotData {
  /** Of the element that it is drawn into. */
  readonly id: string;
  /** `gaps`: value by percentile, both scales logarithmic. `time`: value over seconds. */
  readonly kind: 'gaps' | 'time';
  readonly unit: 'ms' | 'B/s' | '/s';
  readonly x: readonly number[];
  readonly series: readonly PlotSeries[];
  /** Upright lines: what happened when. */
  readonly marks: readonly PlotMark[];
  /** From and to, where there are too many marks to draw. */
  readonly band: readonly [number, number] | null;
}

export interface PlotSeries {
  readonly label: string;
  /** Number in the palette; -1 for grey. */
  readonly colour: number;
  /** With the agent: a whole line. Without: a broken one. */
  readonly dashed: boolean;
  readonly values: readonly (number | null)[];
}

export interface PlotMark {
  readonly at: number;
  readonly text: string;
  /** The route moved; else something else was done. */
  readonly flip: boolean;
}

/** As much of the browser as is needed. */
interface PageElement {
  readonly clientWidth: number;
  readonly textContent: string;
  readonly dataset: Record<string, string>;
}
interface Plot {
  readonly ctx: PlotContext;
  readonly bbox: { left: number; top: number; width: number; height: number };
  valToPos(value: number, scale: string, canvasPixels: boolean): number;
  setSize(size: { width: number; height: number }): void;
  redraw(rebuild: boolean): void;
}
interface PlotContext {
  strokeStyle: string;
  fillStyle: string;
  lineWidth: number;
  font: string;
  textAlign: string;
  save(): void;
  restore(): void;
  beginPath(): void;
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  stroke(): void;
  fillRect(x: number, y: number, width: number, height: number): void;
  fillText(text: string, x: number, y: number): void;
  setLineDash(dash: readonly number[]): void;
  measureText(text: string): { width: number };
}
interface Browser {
  readonly document: {
    getElementById(id: string): PageElement | null;
    documentElement: PageElement;
  };
  readonly devicePixelRatio: number;
  readonly uPlot: new (options: object, data: readonly unknown[], target: PageElement) => Plot;
  matchMedia(query: string): {
    matches: boolean;
    addEventListener(type: string, act: () => void): void;
  };
  readonly ResizeObserver: new (act: () => void) => { observe(target: PageElement): void };
}

/** Runs in the browser, once, after uPlot. */
export function drawPlots(): void {
  const browser = globalThis as unknown as Browser;
  const { document } = browser;
  const dark = browser.matchMedia('(prefers-color-scheme: dark)');
  // Okabe and Ito's colours, told apart by colour-blind readers; lighter ones on dark paper.
  const palette = {
    light: ['#0072b2', '#d55e00', '#009e73', '#b0468c', '#56a0d3', '#9a6a00', '#444444', '#7a3fb0'],
    dark: ['#56b4e9', '#ff8c42', '#2fd0a0', '#e79ac6', '#9fd4f5', '#e6b800', '#c8c8c8', '#b99be8'],
  };
  const grey = () => (dark.matches ? '#8a94a0' : '#7b8591');
  const ink = () => (dark.matches ? '#9aa5b1' : '#59626e');
  const grid = () => (dark.matches ? '#2a3038' : '#e4e8ed');
  const colourOf = (index: number): string => {
    const colours = dark.matches ? palette.dark : palette.light;
    return index < 0 ? grey() : (colours[index % colours.length] as string);
  };
  const short = (value: number): string => {
    const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
    return String(Number(value.toFixed(digits)));
  };
  const unitText = (value: number | null | undefined, unit: string): string => {
    if (value === null || value === undefined) return '–';
    if (unit === 'B/s' && value >= 1e9) return `${short(value / 1e9)} GB/s`;
    if (unit === 'B/s' && value >= 1e6) return `${short(value / 1e6)} MB/s`;
    if (unit === 'B/s' && value >= 1e3) return `${short(value / 1e3)} kB/s`;
    if (unit === 'ms' && value >= 1e3) return `${short(value / 1e3)} s`;
    if (unit === '/s' && value >= 1e4) return `${short(value / 1e3)} k/s`;
    return unit === '/s' ? `${short(value)}/s` : `${short(value)} ${unit}`;
  };
  const percentile = (nines: number): string => {
    const percent = 100 * (1 - 10 ** -nines);
    return `p${Number(percent.toFixed(nines < 1 ? 0 : Math.ceil(nines) - 1))}`;
  };
  const axis = (more: object) => ({
    stroke: ink,
    font: '12px system-ui, sans-serif',
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
    ...more,
  });

  const drawMarks = (plot: Plot, data: PlotData): void => {
    const { ctx, bbox } = plot;
    const ratio = browser.devicePixelRatio || 1;
    ctx.save();
    if (data.band !== null) {
      const from = plot.valToPos(data.band[0], 'x', true);
      const to = plot.valToPos(data.band[1], 'x', true);
      ctx.fillStyle = dark.matches ? 'rgba(240,196,99,.14)' : 'rgba(200,140,0,.13)';
      ctx.fillRect(from, bbox.top, Math.max(1, to - from), bbox.height);
    }
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.fillStyle = ink();
    ctx.textAlign = 'left';
    ctx.lineWidth = ratio;
    for (const [i, mark] of data.marks.entries()) {
      const x = Math.round(plot.valToPos(mark.at, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = mark.flip ? (dark.matches ? '#f0c463' : '#a06b00') : grey();
      ctx.setLineDash(mark.flip ? [] : [2 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const next = data.marks[i + 1];
      const edge = bbox.left + bbox.width;
      const room = (next === undefined ? edge : plot.valToPos(next.at, 'x', true)) - x;
      // Where it is narrow only the new PoP is named; the list below the plot has it all.
      const words = [mark.text, mark.flip ? (mark.text.split(' ').pop() ?? '') : ''];
      const text = words.find((one) => ctx.measureText(one).width + 8 * ratio <= room) ?? '';
      ctx.fillText(text, x + 4 * ratio, bbox.top + 11 * ratio);
    }
    ctx.restore();
  };

  const optionsOf = (data: PlotData, width: number): object => {
    const isGaps = data.kind === 'gaps';
    const yUnit = data.unit;
    return {
      width,
      height: width < 420 ? 220 : 270,
      padding: [10, 12, 0, 0],
      legend: {
        markers: {
          dash: (_: Plot, index: number) =>
            data.series[index - 1]?.dashed === true ? 'dashed' : 'solid',
        },
      },
      cursor: { points: { size: 6 }, drag: { x: !isGaps, y: false } },
      scales: isGaps
        ? { x: { time: false }, y: { distr: 3, log: 10 } }
        : {
            x: { time: false },
            y: { range: (_: Plot, _min: number, max: number) => [0, (max || 1) * 1.2] },
          },
      series: [
        {
          label: isGaps ? 'Percentile' : 'Time',
          value: (_: Plot, at: number | null) =>
            at === null || at === undefined ? '–' : isGaps ? percentile(at) : `${short(at)} s`,
        },
        ...data.series.map((one) => ({
          label: one.label,
          stroke: () => colourOf(one.colour),
          width: one.colour < 0 ? 1.25 : 2,
          dash: one.dashed ? [6, 4] : [],
          points: { show: false },
          value: (_: Plot, value: number | null) => unitText(value, yUnit),
        })),
      ],
      axes: [
        axis(
          isGaps
            ? {
                splits: (_: Plot, _axis: number, min: number, max: number) =>
                  [Math.log10(2), 1, 2, 3, 4].filter((at) => at >= min && at <= max),
                values: (_: Plot, splits: number[]) => splits.map(percentile),
              }
            : { values: (_: Plot, splits: number[]) => splits.map((at) => `${short(at)} s`) },
        ),
        axis({
          size: 74,
          values: (_: Plot, splits: (number | null)[]) =>
            splits.map((at) => (at === null ? '' : unitText(at, yUnit))),
        }),
      ],
      hooks: { draw: [(plot: Plot) => drawMarks(plot, data)] },
    };
  };

  const source = document.getElementById('plot-data');
  const all = JSON.parse(source?.textContent ?? '[]') as PlotData[];
  const drawn: { plot: Plot; target: PageElement; width: number }[] = [];
  for (const data of all) {
    const target = document.getElementById(data.id);
    if (target === null) continue;
    const width = Math.max(240, target.clientWidth);
    const values = [data.x, ...data.series.map((one) => one.values)];
    drawn.push({ plot: new browser.uPlot(optionsOf(data, width), values, target), target, width });
  }
  document.documentElement.dataset.plots = String(drawn.length);
  const fit = (): void => {
    for (const one of drawn) {
      const width = Math.max(240, one.target.clientWidth);
      if (Math.abs(width - one.width) < 2) continue;
      one.width = width;
      one.plot.setSize({ width, height: width < 420 ? 220 : 270 });
    }
  };
  const observer = new browser.ResizeObserver(fit);
  for (const { target } of drawn) observer.observe(target);
  dark.addEventListener('change', () => {
    for (const { plot } of drawn) plot.redraw(false);
  });
}
