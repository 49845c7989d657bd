import { Lab, type LabOptions } from './lab.ts';

/** Builds a lab, lets `work` use it, and removes it whatever happens. */
export async function withLab<T>(options: LabOptions, work: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.up(options);
  try {
    return await work(lab);
  } finally {
    options.progress.step('removing the lab');
    await lab.down();
  }
}
