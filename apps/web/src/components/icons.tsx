/** Line icons on a grid of 24, drawn for this page. They say nothing to assistive technology: what holds them is labelled. */
import type { ReactNode } from 'react';

const icon = (...paths: string[]) => function Icon(): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.75" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {paths.map((path) => <path key={path} d={path} />)}
    </svg>
  );
};

export const ArrowUpIcon = icon('M12 19V5', 'M6 11l6-6 6 6');
export const ArrowDownIcon = icon('M12 5v14', 'M6 13l6 6 6-6');
export const CheckIcon = icon('M5 12.5l4.5 4.5L19 7.5');
export const ChevronDownIcon = icon('M7 10l5 5 5-5');
export const ChevronLeftIcon = icon('M14.5 6l-6 6 6 6');
export const ChevronRightIcon = icon('M9.5 6l6 6-6 6');
export const CloseIcon = icon('M6 6l12 12', 'M18 6L6 18');
export const CopyIcon = icon('M9 9h10v10a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 9 19z', 'M15 9V5.5A1.5 1.5 0 0 0 13.5 4h-7A1.5 1.5 0 0 0 5 5.5V14a1.5 1.5 0 0 0 1.5 1.5H9');
export const PencilIcon = icon('M4 20l1-4.5L16.5 4a1.8 1.8 0 0 1 2.5 0l1 1a1.8 1.8 0 0 1 0 2.5L8.5 19z', 'M14.5 6l3.5 3.5');
export const RefreshIcon = icon('M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9', 'M19.5 4v5h-5');
export const StopIcon = icon('M7 7h10v10H7z');
export const GaugeIcon = icon('M4 19v-6', 'M9.3 19V9', 'M14.6 19v-4', 'M20 19V5');
export const MenuIcon = icon('M4 7h16', 'M4 12h16', 'M4 17h16');
export const SidebarIcon = icon('M5 4.5h14A1.5 1.5 0 0 1 20.5 6v12a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 18V6A1.5 1.5 0 0 1 5 4.5z', 'M9.5 4.5v15');
export const PlusIcon = icon('M12 5v14', 'M5 12h14');
export const NewChatIcon = icon('M12 4.5H6A1.5 1.5 0 0 0 4.5 6v12A1.5 1.5 0 0 0 6 19.5h12a1.5 1.5 0 0 0 1.5-1.5v-6', 'M18.2 3.8a1.6 1.6 0 0 1 2.2 2.2l-7.7 7.7-3 .8.8-3z');
export const SearchIcon = icon('M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14z', 'M20 20l-4-4');
export const SettingsIcon = icon('M4 7h9', 'M17 7h3', 'M15 9.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z', 'M4 17h3', 'M11 17h9', 'M9 19.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z');
export const MoreIcon = icon('M5.5 12h.01', 'M12 12h.01', 'M18.5 12h.01');
export const TrashIcon = icon('M5 7h14', 'M10 7V4.5h4V7', 'M7 7l.8 12.5h8.4L17 7', 'M10.5 11v5', 'M13.5 11v5');
export const ArchiveIcon = icon('M4 5h16v4H4z', 'M5.5 9v10h13V9', 'M10 13h4');
export const DownloadIcon = icon('M12 4v11', 'M7.5 11l4.5 4.5 4.5-4.5', 'M5 19.5h14');
export const UploadIcon = icon('M12 16V5', 'M7.5 9L12 4.5 16.5 9', 'M5 19.5h14');
export const PaperclipIcon = icon('M19 11.5l-7.2 7.2a4.5 4.5 0 0 1-6.4-6.4l7.4-7.4a3 3 0 0 1 4.3 4.3l-7.4 7.4a1.5 1.5 0 0 1-2.1-2.1l6.7-6.7');
export const GhostIcon = icon('M5.5 19.5V11a6.5 6.5 0 0 1 13 0v8.5l-2.2-1.5-2.1 1.5-2.2-1.5-2.2 1.5-2.1-1.5z', 'M9.8 11h.01', 'M14.2 11h.01');
export const KeyboardIcon = icon('M4 7h16v10H4z', 'M8 14h8', 'M7.5 10.5h.01', 'M10.5 10.5h.01', 'M13.5 10.5h.01', 'M16.5 10.5h.01');
export const PersonIcon = icon('M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z', 'M4.5 20a7.5 7.5 0 0 1 15 0');
export const WarningIcon = icon('M12 4.5l8.5 15h-17z', 'M12 10v4', 'M12 16.8h.01');
export const GlobeIcon = icon('M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17z', 'M3.5 12h17', 'M12 3.5c2.5 2.4 3.5 5.3 3.5 8.5s-1 6.1-3.5 8.5c-2.5-2.4-3.5-5.3-3.5-8.5s1-6.1 3.5-8.5z');
export const SunIcon = icon('M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8z', 'M12 3v1.5', 'M12 19.5V21', 'M3 12h1.5', 'M19.5 12H21', 'M5.6 5.6l1.1 1.1', 'M17.3 17.3l1.1 1.1', 'M5.6 18.4l1.1-1.1', 'M17.3 6.7l1.1-1.1');
export const MoonIcon = icon('M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z');
